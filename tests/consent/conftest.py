"""An agent, a user, the consent that she grants it, and what the agent then asks her."""

from functools import partial

import pytest

from accounts.models import User
from agents.models import Agent
from consent.models import Consent
from developers.models import Developer
from tests.approvals import Asks, make_approval
from tests.world import allow, ask, make_agent, make_user


@pytest.fixture
def agent(developer: Developer) -> Agent:
    return make_agent(developer)


@pytest.fixture
def ada(db: None) -> User:
    return make_user("ada@example.com", "Ada")


@pytest.fixture
def granted(agent: Agent, ada: User) -> Consent:
    return allow(ask(agent), ada)


@pytest.fixture
def asks(granted: Consent) -> Asks:
    return partial(make_approval, granted)
