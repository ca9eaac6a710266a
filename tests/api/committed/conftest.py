"""The fixtures of tests that commit: each test makes its own rows."""

from typing import Any

import pytest

from tests.api.conftest import Api, Json, new_agent, new_developer, new_user, tokens_for


@pytest.fixture
def developer(db: None) -> Api:
    return new_developer("acme@example.com")


@pytest.fixture
def rival(db: None) -> Api:
    return new_developer("rival@example.com")


@pytest.fixture
def ada(db: None) -> Any:
    return new_user("ada@example.com")


@pytest.fixture
def agent(developer: Api) -> Json:
    return new_agent(developer)


@pytest.fixture
def tokens(agent: Json, ada: Api) -> Json:
    return tokens_for(agent, ada)
