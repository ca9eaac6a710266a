"""Users, a developer with an agent, the agent's requests for consent, and the fixtures of `tests.web.developer_log`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import tests.world
from accounts.models import User
from agents.models import Agent
from consent.models import Consent
from developers.models import Developer
from tests.web.developer_log import denied, limited, policy, server, write
from tests.world import Browser

__all__ = ["denied", "limited", "policy", "server", "write"]


@pytest.fixture
def world(db: None) -> Any:
    return tests.world


@pytest.fixture
def ada(world: Any) -> User:
    return world.make_user("ada@example.com", "Ada")


@pytest.fixture
def bob(world: Any) -> User:
    return world.make_user("bob@example.com", "Bob")


@pytest.fixture
def developer(world: Any) -> Developer:
    return world.make_developer("dev@example.com", "Acme Robotics")


@pytest.fixture
def rival(world: Any) -> Developer:
    return world.make_developer("rival@example.com", "Rival Robotics")


@pytest.fixture
def agent(world: Any, developer: Developer) -> Agent:
    return world.make_agent(developer)


@pytest.fixture
def ask(world: Any, agent: Agent) -> Callable[..., Consent]:
    """Return a function that requests consent for the agent."""
    return partial(world.ask, agent)


@pytest.fixture
def granted(world: Any, ask: Callable[..., Consent], ada: User) -> Consent:
    """The consent that Ada granted to the agent."""
    return world.allow(ask(), ada)


@pytest.fixture
def as_ada(world: Any, ada: User) -> Browser:
    return world.sign_in(ada)


@pytest.fixture
def as_bob(world: Any, bob: User) -> Browser:
    return world.sign_in(bob)


@pytest.fixture
def as_developer(world: Any, developer: Developer) -> Browser:
    return world.sign_in_recently(developer.user)


@pytest.fixture
def as_rival(world: Any, rival: Developer) -> Browser:
    return world.sign_in_recently(rival.user)
