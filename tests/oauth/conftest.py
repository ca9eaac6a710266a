"""Users, clients and resource servers for the OAuth tests."""

from collections.abc import Iterator
from typing import Any

import pytest

import tests.world
from accounts.models import User
from developers.models import Developer
from resources.services import RegisteredResourceServer
from tests.oauth.client import OAuthClient, make_client, make_public_client
from tests.shared import copied, rows_of_module
from tests.world import make_developer, make_resource_server, make_user


@pytest.fixture
def world(db: None) -> Any:
    return tests.world


@pytest.fixture(scope="module")
def rows(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Keep the rows of the fixtures below for all tests of a module. Those that commit have their own (`committed`)."""
    with rows_of_module(django_db_blocker):
        yield


@pytest.fixture(scope="module")
def shared_ada(rows: None) -> User:
    return make_user("ada@example.com")


@pytest.fixture(scope="module")
def shared_bob(rows: None) -> User:
    return make_user("bob@example.com")


@pytest.fixture(scope="module")
def shared_developer(rows: None) -> Developer:
    return make_developer("dev@example.com")


@pytest.fixture(scope="module")
def shared_rival(rows: None) -> Developer:
    return make_developer("rival@example.com")


@pytest.fixture(scope="module")
def shared_client(shared_developer: Developer) -> OAuthClient:
    return make_client(shared_developer)


ada = copied("shared_ada")
bob = copied("shared_bob")
developer = copied("shared_developer")
rival = copied("shared_rival")
client = copied("shared_client")  # a confidential client that an organization registered


@pytest.fixture
def other(rival: Developer) -> OAuthClient:
    """A confidential client of another organization."""
    return make_client(rival)


@pytest.fixture
def public(developer: Developer) -> OAuthClient:
    return make_public_client(developer, redirect_uris=["http://127.0.0.1/callback"])


@pytest.fixture
def service(developer: Developer) -> RegisteredResourceServer:
    """A resource server of the client's own organization."""
    return make_resource_server(developer, "https://mail.example/api")


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The documents that clients publish, by URL. Nothing leaves this process."""
    from core import fetching
    from tests.oauth.documents import Websites

    monkeypatch.setattr(fetching, "_read", Websites.read)
    Websites.published, Websites.asked = {}, []
    return Websites.published


@pytest.fixture
def register(world: Any) -> Any:
    """Return a function that registers a client at /oauth/register and returns it."""
    from django.test import Client

    def register(**metadata: Any) -> OAuthClient:
        body = {"client_name": "Stock", "redirect_uris": ["http://127.0.0.1/callback"], **metadata}
        answer = Client().post("/oauth/register", body, content_type="application/json")
        assert answer.status_code == 201, answer.content
        from agents.models import Agent

        agent = Agent.objects.get(client_id=answer.json()["client_id"])
        return OAuthClient(agent, answer.json().get("client_secret", ""))

    return register
