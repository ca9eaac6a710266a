"""The fixtures of `tests.web.conftest`, with rows that are made once per module. Tests that commit cannot use them."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import pytest

from accounts.models import User
from agents.models import Agent
from consent.models import Consent
from developers.models import Developer
from tests.shared import copied, rows_of_module
from tests.world import Browser, allow, make_agent, make_developer, make_user, sign_in, sign_in_recently
from tests.world import ask as ask_for

__all__ = [
    *("rows", "shared_ada", "shared_bob", "shared_developer", "shared_rival", "shared_agent"),
    *("adas_browser", "bobs_browser", "developers_browser", "rivals_browser"),
    *("ada", "bob", "developer", "rival", "agent", "granted", "ask"),
    *("as_ada", "as_bob", "as_developer", "as_rival"),
]


@pytest.fixture(scope="module")
def rows(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with rows_of_module(django_db_blocker):
        yield


@pytest.fixture(scope="module")
def shared_ada(rows: None) -> User:
    return make_user("ada@example.com", "Ada")


@pytest.fixture(scope="module")
def shared_bob(rows: None) -> User:
    return make_user("bob@example.com", "Bob")


@pytest.fixture(scope="module")
def shared_developer(rows: None) -> Developer:
    return make_developer("dev@example.com", "Acme Robotics")


@pytest.fixture(scope="module")
def shared_rival(rows: None) -> Developer:
    return make_developer("rival@example.com", "Rival Robotics")


@pytest.fixture(scope="module")
def shared_agent(shared_developer: Developer) -> Agent:
    return make_agent(shared_developer)


@pytest.fixture(scope="module")
def adas_browser(shared_ada: User) -> Browser:
    return sign_in(shared_ada)


@pytest.fixture(scope="module")
def bobs_browser(shared_bob: User) -> Browser:
    return sign_in(shared_bob)


@pytest.fixture(scope="module")
def developers_browser(shared_developer: Developer) -> Browser:
    return sign_in_recently(shared_developer.user)


@pytest.fixture(scope="module")
def rivals_browser(shared_rival: Developer) -> Browser:
    return sign_in_recently(shared_rival.user)


ada = copied("shared_ada")
bob = copied("shared_bob")
developer = copied("shared_developer")
rival = copied("shared_rival")
agent = copied("shared_agent")


@pytest.fixture
def ask(agent: Agent) -> Callable[..., Consent]:
    return partial(ask_for, agent)


@pytest.fixture
def granted(ask: Callable[..., Consent], ada: User) -> Consent:
    return allow(ask(), ada)


@pytest.fixture
def as_ada(adas_browser: Browser, db: None) -> Browser:
    return _in_same_session(adas_browser)


@pytest.fixture
def as_bob(bobs_browser: Browser, db: None) -> Browser:
    return _in_same_session(bobs_browser)


@pytest.fixture
def as_developer(developers_browser: Browser, db: None) -> Browser:
    return _in_same_session(developers_browser)


@pytest.fixture
def as_rival(rivals_browser: Browser, db: None) -> Browser:
    return _in_same_session(rivals_browser)


def _in_same_session(browser: Browser) -> Browser:
    other = Browser()
    other.cookies, other.home = deepcopy(browser.cookies), browser.home
    return other
