"""Models cannot be imported before pytest has set the environment, so `world` is imported when a fixture runs."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from django.test import Client

    from tests.admin.world import World


@pytest.fixture
def world(db: None, settings: Any) -> "World":
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # a hundred worlds in seconds
    from tests.admin.world import make_world

    return make_world()


@pytest.fixture
def site(world: "World") -> "Client":
    """A browser in which the administrator is signed in."""
    from tests.admin.world import sign_in

    return sign_in(world.administrator)
