"""Users, clients and resource servers for the OAuth tests."""

from typing import Any

import pytest

import tests.world
from accounts.models import User
from developers.models import Developer
from resources.services import RegisteredResourceServer
from tests.oauth.client import OAuthClient, make_client, make_public_client


@pytest.fixture
def world(db: None) -> Any:
    return tests.world


@pytest.fixture
def ada(world: Any) -> User:
    return world.make_user("ada@example.com")


@pytest.fixture
def bob(world: Any) -> User:
    return world.make_user("bob@example.com")


@pytest.fixture
def developer(world: Any) -> Developer:
    return world.make_developer("dev@example.com")


@pytest.fixture
def rival(world: Any) -> Developer:
    return world.make_developer("rival@example.com")


@pytest.fixture
def client(world: Any, developer: Developer) -> OAuthClient:
    """A confidential client that an organization registered."""
    return make_client(developer)


@pytest.fixture
def other(world: Any, rival: Developer) -> OAuthClient:
    """A confidential client of another organization."""
    return make_client(rival)


@pytest.fixture
def public(world: Any, developer: Developer) -> OAuthClient:
    return make_public_client(developer, redirect_uris=["http://127.0.0.1/callback"])


@pytest.fixture
def service(world: Any, developer: Developer) -> RegisteredResourceServer:
    """A resource server of the client's own organization."""
    return world.make_resource_server(developer, "https://mail.example/api")


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
