"""A database with rows of every model, and its administrator."""

from typing import Any

import pytest
from django.test import Client

from tests.admin.world import World, make_world
from tests.world import sign_in


@pytest.fixture
def world(db: None, settings: Any) -> World:
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.MD5PasswordHasher"
    ]  # fast, because every test creates users
    return make_world()


@pytest.fixture
def site(world: World) -> Client:
    """The administrator's browser."""
    return sign_in(world.administrator)
