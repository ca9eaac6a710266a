"""Clients known by the metadata document at their client id."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from accounts.models import User
from tests.constants import NOON
from tests.oauth.client import OAuthClient
from tests.shared import cases


def client_of(world: Any, document: dict[str, Any]) -> Any:
    """Return a client that the server does not know yet."""
    from agents.models import Agent

    return OAuthClient(Agent(client_id=document["client_id"], redirect_uris=" ".join(document["redirect_uris"])), "")


@cases(
    ("name", "redirect_uri"),
    [
        ("VS_CODE", "http://127.0.0.1:33418/"),
        ("VS_CODE", "http://127.0.0.1:61234/"),
        ("VS_CODE", "https://vscode.example/redirect"),
        ("CLAUDE_CODE", "http://localhost:3118/callback"),
        ("CLAUDE_CODE", "http://127.0.0.1:50000/callback"),
    ],
)
def test_documents_of_real_public_clients_are_accepted(
    world: Any, published: Any, ada: User, name: str, redirect_uri: str
) -> None:
    from tests.oauth import documents

    document = getattr(documents, name)
    published[document["client_id"]] = document
    client = client_of(world, document)
    answer = client.redeem(client.code(ada, redirect_uri=redirect_uri), redirect_uri=redirect_uri)
    assert answer.status_code == 200
    assert client.refresh(answer.json()["refresh_token"]).status_code == 200


def test_the_screen_shows_the_host_of_the_document_and_of_the_redirect(world: Any, published: Any, ada: User) -> None:
    from tests.oauth.documents import VS_CODE

    published[VS_CODE["client_id"]] = {**VS_CODE, "redirect_uris": ["https://other.example/redirect"]}
    client, browser = client_of(world, VS_CODE), world.sign_in(ada)
    answer = client.authorize(browser, redirect_uri="https://other.example/redirect", scope="email:read")
    page = browser.get(answer["Location"])
    text = page.content.decode()
    assert "The website <strong><bdi>vscode.example</bdi></strong> publishes its name" in text
    assert text.index("Returns you to") < text.index("<strong><bdi>other.example</bdi></strong>")
    shown = browser.get(f"/api/v1/consent/{page.context['consent'].id}").json()
    assert shown["agent"]["developer"] == {"name": "vscode.example", "verified": False}
    assert shown["redirectUri"] == "https://other.example/redirect"


@cases(
    "change",
    [
        {"client_id": "https://other.example/client"},
        {"client_secret": "s"},
        {"client_secret_expires_at": 0},
        {"token_endpoint_auth_method": "client_secret_post"},
        {"token_endpoint_auth_method": "", "token_endpoint_auth_methods_supported": ["client_secret_post"]},
        {"token_endpoint_auth_method": "", "token_endpoint_auth_methods_supported": "none"},
        {"token_endpoint_auth_method": "", "token_endpoint_auth_methods_supported": ["private_key_jwt"]},
        {"redirect_uris": ["http://evil.example/cb"]},
        {"redirect_uris": []},
    ],
)
def test_an_invalid_document_is_refused(world: Any, published: Any, change: dict[str, Any]) -> None:
    from tests.oauth.documents import CLAUDE_CODE

    published[CLAUDE_CODE["client_id"]] = {**CLAUDE_CODE, **change}
    response = client_of(world, CLAUDE_CODE).authorize(redirect_uri="http://localhost/callback")
    assert response.status_code == 400
    assert "Location" not in response


def test_an_unavailable_document_is_refused(world: Any, published: Any) -> None:
    from tests.oauth.documents import CLAUDE_CODE

    assert client_of(world, CLAUDE_CODE).authorize().status_code == 400


@cases(
    "url",
    [
        "https://127.0.0.1/c",
        "https://169.254.169.254/c",
        "https://[::1]/c",
        "https://localhost/c",
        "https://10.0.0.1/c",
    ],
)
def test_the_real_fetcher_refuses_non_public_addresses(world: Any, ada: User, url: str) -> None:
    from oauth.documents import DocumentUnavailable, fetch_document

    with pytest.raises(DocumentUnavailable, match="not public"):
        fetch_document(url, world.ANONYMOUS)


def test_metadata_documents_can_be_turned_off(world: Any, published: Any, settings: Any) -> None:
    from tests.oauth.documents import CLAUDE_CODE

    settings.OAUTH_CLIENT_METADATA_DOCUMENTS = False
    published[CLAUDE_CODE["client_id"]] = CLAUDE_CODE
    assert client_of(world, CLAUDE_CODE).authorize().status_code == 400


def test_an_old_document_is_fetched_again_and_its_changes_apply(world: Any, published: Any) -> None:
    from tests.oauth.documents import CLAUDE_CODE, Websites

    client = client_of(world, CLAUDE_CODE)
    with time_machine.travel(NOON, tick=False) as time:
        published[CLAUDE_CODE["client_id"]] = CLAUDE_CODE
        assert [client.authorize().status_code for _ in range(3)] == [303, 303, 303]
        assert len(Websites.asked) == 1
        published[CLAUDE_CODE["client_id"]] = {**CLAUDE_CODE, "redirect_uris": ["https://claude.example/cb"]}
        time.shift(timedelta(seconds=601))
        assert client.authorize().status_code == 400
        assert client.authorize(redirect_uri="https://claude.example/cb").status_code == 303


def test_a_document_cannot_take_over_a_registered_client(world: Any, published: Any, client: Any) -> None:
    from agents.models import Agent
    from tests.oauth.documents import CLAUDE_CODE

    Agent.objects.filter(pk=client.agent.pk).update(client_id=CLAUDE_CODE["client_id"])
    published[CLAUDE_CODE["client_id"]] = CLAUDE_CODE
    assert client_of(world, CLAUDE_CODE).authorize().status_code == 400
    assert Agent.objects.get().redirect_uris == world.CALLBACK


@cases("letter", ["\u0430", "\u202e", "\U000e0041", " "])
def test_the_url_of_a_document_must_be_printable_ascii(world: Any, published: Any, letter: str) -> None:
    from tests.oauth.documents import CLAUDE_CODE, Websites

    address = CLAUDE_CODE["client_id"].replace("a", letter, 1)
    published[address] = {**CLAUDE_CODE, "client_id": address}
    client = client_of(world, published[address])
    assert client.authorize(redirect_uri="http://localhost:1/callback").status_code == 400
    assert Websites.asked == []
