"""A world in the database, a time that stands still, and the two ways to ask."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta

import pytest

from core import clock
from developers.models import Developer
from tests import world
from tests.server.hot.both import Both, running_front
from tests.server.hot.requests import Scene


class Moment:
    """The time that all code sees. It stands still, so that both answers have the same times."""

    def __init__(self) -> None:
        self.now = clock.now()

    def pass_(self, length: timedelta) -> None:
        self.now += length

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(autouse=True)
def moment(monkeypatch: pytest.MonkeyPatch) -> Moment:
    moment = Moment()
    monkeypatch.setattr(clock, "now", moment)
    return moment


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    grant = world.make_grant(scopes=["email:read"])
    developer = Developer.objects.get(organization=grant.agent.organization)
    rival = world.make_developer("rival@example.com", "Rival")
    return Scene(
        grant,
        developer,
        own=world.make_resource_server(developer, "https://own.example"),
        foreign=world.make_resource_server(rival, "https://foreign.example"),
    )


@pytest.fixture
def start(transactional_db: None) -> Iterator[Callable[[], Both]]:
    """Yield a function that starts a front, with the settings that the test has changed before."""
    with ExitStack() as stack:
        yield lambda: Both(stack.enter_context(running_front()))


@pytest.fixture
def both(start: Callable[[], Both]) -> Both:
    return start()
