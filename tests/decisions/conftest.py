"""Fixtures of the JSON API, for tests through HTTP, and the drivers of decisions."""

from collections.abc import Iterator

import pytest

from tests.api.conftest import ada, anonymous, developer, new_developer, new_user, rival
from tests.decisions.drivers import Decide, EventLoop, decide_on_django, event_loop, forget
from tests.world import Grant, make_grant

__all__ = ["ada", "anonymous", "developer", "new_developer", "new_user", "rival"]


@pytest.fixture
def grant() -> Grant:
    return make_grant(scopes=["email:read", "email:send"])


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    """Return an event loop with a store, in a process that remembers nothing."""
    forget()
    with event_loop() as loop:
        yield loop


@pytest.fixture(params=["the event loop", "Django"])
def decide(request: pytest.FixtureRequest, loop: EventLoop) -> Decide:
    """Return a function that decides requests in one batch, by the driver of the event loop or of Django."""
    return loop.decide if request.param == "the event loop" else decide_on_django
