"""The landing page: what it says is true, it writes nothing, and browsers may keep it."""

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from resources.catalogue import catalogue
from tests.constants import CALLBACK
from tests.oauth.client import OAuthClient, make_client
from tests.shared import cases
from tests.web.consent_screen import Screen
from tests.web.markup import text_of
from tests.world import sign_in
from web.public.docs.reference import operations
from web.public.landing import samples

READ, SEND = "email:read", "email:send"
ADDRESSES = ["/", f"/?decision=allow&scopes={READ}", "/?decision=deny", f"/?decision=off&scopes={READ}"]


@pytest.fixture
def agent_of(developer: Any) -> OAuthClient:
    return make_client(developer, allowed_scopes=[READ, SEND])


def post(client: Any, path: str, body: Any) -> Any:
    return client.post(path, body, content_type="application/json").json()


def json_in(text: str, **values: str) -> Any:
    """Return the JSON object in a text, with values in place of those that are shortened."""
    return json.loads(text[text.index("{") : text.rindex("}") + 1]) | values


def assert_shown(shown: Any, real: Any) -> None:
    """Compare an answer with what the page shows of it. An ellipsis stands for the rest of a value."""
    for name, value in shown.items():
        if isinstance(value, str) and value.endswith("…"):
            assert real[name].startswith(value.removesuffix("…")), name
        else:
            assert real[name] == value, name


def test_the_page_shows_the_samples(client):
    text = text_of(client, "/")
    for sample in (samples.VERIFY, samples.VERIFIED, samples.EXCHANGE, samples.EXCHANGED):
        assert f">{sample}</pre>" in text
    calls = {"verifyToken": samples.VERIFY_CALL, "exchangeCode": samples.EXCHANGE_CALL}
    for operation, call in calls.items():
        assert re.search(rf'/docs/api-reference/{operation}"><code[^>]*>{call}</code>', text)
        assert " ".join(operations()[operation][:2]) == call


def test_the_verify_request_has_the_answer_that_the_page_shows(client, agent_of, ada):
    token = Screen(agent_of, ada, READ, SEND).token(SEND, **{f"mode-{SEND}": "ask"})
    method, path = samples.VERIFY_CALL.split()
    assert method == "POST"
    assert_shown(json_in(samples.VERIFIED), post(client, path, json_in(samples.VERIFY, token=token)))


def test_the_token_request_has_the_answer_that_the_page_shows(client, agent_of, ada):
    credential = {"clientId": agent_of.agent.client_id, "clientSecret": agent_of.secret}
    request = {**credential, "requestedScopes": [READ], "redirectUri": CALLBACK}
    asked = post(client, "/api/v1/consent/initiate", request)
    code = post(sign_in(ada), f"/api/v1/consent/{asked['consentId']}/approve", {})["code"]
    path = samples.EXCHANGE_CALL.split()[1]
    answer = post(client, path, json_in(samples.EXCHANGE, code=code, **credential))
    assert_shown(json_in(samples.EXCHANGED), answer)


@cases("address", ADDRESSES)
def test_visitors_cause_no_query_and_get_no_cookie(client, db, address):
    with CaptureQueriesContext(connection) as queries:
        response = client.get(address)
    assert response.status_code == 200
    assert queries.captured_queries == []
    assert response.cookies == {}


@cases("address", ADDRESSES)
def test_users_who_play_with_the_demo_change_nothing(as_ada, address):
    as_ada.get("/")
    with CaptureQueriesContext(connection) as queries:
        as_ada.get(address)
    assert [query["sql"] for query in queries if not query["sql"].startswith("SELECT")] == []


def test_the_browsers_of_visitors_may_keep_the_page_for_a_while(client):
    response = client.get("/")
    assert response["Cache-Control"] == "private, max-age=300"
    assert "Cookie" in response["Vary"]


def test_the_page_is_in_the_language_of_its_reader(client, as_ada, ada):
    path = f"{ADDRESSES[1]}&scopes={SEND}&mode-{SEND}=ask"
    response = client.get(path, headers={"Accept-Language": "de"})
    text = response.content.decode()
    titles = (catalogue()[scope].title for scope in (READ, SEND))
    assert [title for title in titles if title in text] == []
    assert "Eine E-Mail an bob@acme.com senden" in text
    assert "Sie haben gewählt, jedes Mal gefragt zu werden." in text
    assert "Accept-Language" in response["Vary"]
    assert response["Cache-Control"] == "private, max-age=300"
    User.objects.filter(pk=ada.pk).update(language="ar")
    answer = as_ada.get(path, headers={"Accept-Language": "de"})
    assert answer["Content-Language"] == "ar"
    assert '<html lang="ar" dir="rtl"' in answer.content.decode()


def test_the_page_of_a_user_is_not_stored(as_ada):
    assert "no-store" in as_ada.get("/")["Cache-Control"]


def test_users_see_their_connections_instead_of_the_sign_up(client, as_ada):
    own, others = (each.get("/").content.decode() for each in (as_ada, client))
    assert "Your connections" in own
    assert "Create an account" not in own
    assert "Create an account" in others
    assert "Your connections" not in others


def test_no_link_of_the_page_is_broken(client, db):
    links = set(re.findall(r'<a [^>]*href="(/[^"#?]*)', client.get("/").content.decode()))
    assert {"/docs", "/docs/api-reference/verifyToken", "/scopes"} <= links
    assert {link: client.get(link, follow=True).status_code for link in links} == dict.fromkeys(links, 200)
