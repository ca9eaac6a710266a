"""The drivers of decisions, and a connection to decide about."""

from collections.abc import Collection, Iterator
from itertools import product

import pytest

from tests.decisions.drivers import Decide, EventLoop, decide_on_django, event_loop, forget
from tests.world import Grant, make_grant

DRIVERS = {"sqlite": "Django", "postgresql": "the event loop"}


@pytest.fixture
def grant() -> Grant:
    return make_grant(scopes=["email:read", "email:send"])


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    """Return an event loop with a store, in a process that remembers nothing."""
    forget()
    with event_loop() as loop:
        yield loop


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of `decide` on Django's connection to SQLite.

    Those marked `postgresql` also run on the event loop's connection to PostgreSQL, and those marked `both_drivers` on
    both connections to both databases, as all do in `./dev soak`.
    """
    if "decide" not in metafunc.fixturenames:
        return
    chosen, store = _drivers(metafunc.definition), metafunc.config.getoption("--store")
    cases = [pytest.param(name, marks=_marks(name, left_out=(store, name) not in chosen)) for name in DRIVERS.values()]
    metafunc.parametrize("decide", cases, indirect=True)


def _drivers(test: pytest.Item) -> Collection[tuple[str, str]]:
    """Return the databases on which the test runs, with the driver."""
    if test.get_closest_marker("both_drivers"):
        return {*product(DRIVERS, DRIVERS.values())}
    first, second = DRIVERS.items()
    return (first, second) if test.get_closest_marker("postgresql") else (first,)


def _marks(driver: str, *, left_out: bool) -> list[pytest.MarkDecorator]:
    # The event loop's connection reads only what is committed.
    database = pytest.mark.django_db(transaction=driver == "the event loop")
    return [database, pytest.mark.elsewhere] if left_out else [database, pytest.mark.postgresql]


@pytest.fixture
def decide(request: pytest.FixtureRequest) -> Iterator[Decide]:
    """Return a function that decides requests in one batch, by the driver of the event loop or of Django."""
    if request.param == "Django":
        forget()
        yield decide_on_django
    else:
        yield request.getfixturevalue("loop").decide
