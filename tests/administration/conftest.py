"""A database with rows of every model, and its administrator."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from django.test import Client, override_settings

from tests.administration.world import World, make_world, sign_in
from tests.shared import rows_of_module

# Fast, because every test signs in.
HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="module")
def shared_world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """Make the rows once per module, in a transaction around those of its tests."""
    with rows_of_module(django_db_blocker):
        with override_settings(PASSWORD_HASHERS=HASHERS):
            world = make_world()
        yield world


@pytest.fixture
def world(shared_world: World, db: None, settings: Any) -> World:
    settings.PASSWORD_HASHERS = HASHERS
    return deepcopy(shared_world)


@pytest.fixture
def site(world: World) -> Client:
    """The administrator's browser."""
    return sign_in(world.administrator)
