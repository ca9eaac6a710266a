"""While everything is stopped, nothing is allowed, granted or issued, and every page works."""

import base64
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.test import Client

from accounts.models import User
from agents.emergency import lift_emergency_stop, stop_everything
from agents.models import EmergencyStop
from core.actor import SYSTEM
from tests.api.conftest import CALLBACK, Api, Json, code_for, credentials, expect, initiate, problem, tokens_for, verify
from tests.log import log_entries
from tests.oauth.client import link_on, query_in
from tests.shared import cases

FORM = "application/x-www-form-urlencoded"
MAIL = "https://mail.example/api"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def stop() -> None:
    assert stop_everything(actor=SYSTEM, reason="Attack.")


def lift() -> None:
    assert lift_emergency_stop(actor=SYSTEM, reason="Over.")


def post_form(path: str, fields: Json) -> Any:
    return Client().post(path, urlencode(fields), content_type=FORM)


def redeem(agent: Json, **fields: str) -> Any:
    secret = {"client_id": agent["clientId"], "client_secret": agent["clientSecret"]}
    return post_form("/oauth/token", {**secret, **fields})


def test_no_agent_is_allowed_anything(
    developer: Api, rival: Api, agent: Json, ada: Any, bob: Any, tokens: Json
) -> None:
    from tests.api.conftest import new_agent

    others = [tokens_for(new_agent(rival), ada), tokens_for(agent, bob)]
    own = expect(200, redeem(agent, grant_type="client_credentials", scope="email:read"))["access_token"]
    every = [tokens["accessToken"], own, *(one["accessToken"] for one in others)]
    assert all(verify(token)["allowed"] for token in every)
    stop()

    for token in every:
        decision = verify(token)
        assert (decision["allowed"], decision["reason"]) == (False, "service_suspended")
        assert decision["auditId"]

    lift()
    assert all(verify(token)["allowed"] for token in every)


def test_nothing_is_granted(agent: Json, ada: Any) -> None:
    pending, body = initiate(agent), {"clientId": agent["clientId"], "requestedScopes": ["email:read"]}
    stop()

    refused = ada.post(f"/consent/{pending}/approve")
    problem(refused, 503, "everything_stopped")
    assert refused["Retry-After"] == "60"
    problem(Api().post("/consent/initiate", {**body, "redirectUri": CALLBACK}), 503, "everything_stopped")

    lift()
    assert expect(200, ada.post(f"/consent/{pending}/approve"))["status"] == "approved"


def test_requests_can_be_denied_and_connections_revoked(agent: Json, ada: Any, tokens: Json) -> None:
    pending = initiate(agent)
    stop()

    assert expect(200, ada.post(f"/consent/{pending}/deny"))["status"] == "denied"
    assert expect(200, ada.post(f"/users/me/consents/{tokens['consentId']}/pause"))["pausedAt"]
    assert expect(200, ada.post(f"/users/me/consents/{tokens['consentId']}/revoke"))["status"] == "revoked"


def test_no_token_is_issued_and_none_is_used_up(agent: Json, ada: Any, tokens: Json) -> None:
    code, refresh = code_for(agent, ada), {"refreshToken": tokens["refreshToken"], **credentials(agent)}
    stop()
    issued = log_entries(event__startswith="token.").count()

    problem(Api().post("/tokens/exchange", {"code": code, **credentials(agent)}), 503, "everything_stopped")
    problem(Api().post("/tokens/refresh", refresh), 503, "everything_stopped")
    grants = [
        {"grant_type": "authorization_code", "code": code},
        {"grant_type": "refresh_token", "refresh_token": tokens["refreshToken"]},
        {"grant_type": "client_credentials", "scope": "email:read"},
    ]
    for grant in grants:
        answer = redeem(agent, **grant)
        assert expect(503, answer)["error"] == "temporarily_unavailable"
        assert answer["Retry-After"] == "60"
    assert log_entries(event__startswith="token.").count() == issued

    lift()
    assert expect(200, Api().post("/tokens/exchange", {"code": code, **credentials(agent)}))["accessToken"]
    assert expect(200, Api().post("/tokens/refresh", refresh))["accessToken"]


def test_a_replay_during_the_stop_still_ends_the_family(agent: Json, ada: Any) -> None:
    code = code_for(agent, ada)
    exchange = {"code": code, **credentials(agent)}
    tokens = expect(200, Api().post("/tokens/exchange", exchange))
    others = tokens_for(agent, ada)
    refresh = {"refreshToken": others["refreshToken"], **credentials(agent)}
    renewed = expect(200, Api().post("/tokens/refresh", refresh))
    stop()

    problem(Api().post("/tokens/exchange", exchange), 400, "invalid_grant")
    problem(Api().post("/tokens/refresh", refresh), 400, "invalid_grant")

    lift()
    assert verify(tokens["accessToken"])["reason"] == verify(renewed["accessToken"])["reason"] == "token_revoked"


def test_a_public_client_gets_no_repeated_answer(agent: Json, ada: Any) -> None:
    body = {"client_name": "Tool", "redirect_uris": ["http://localhost/cb"], "token_endpoint_auth_method": "none"}
    client = expect(201, Client().post("/oauth/register", body, content_type="application/json"))
    asked = {
        "client_id": client["client_id"],
        "redirect_uri": "http://localhost/cb",
        "response_type": "code",
        "scope": "email:read",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    browser = Client()
    browser.force_login(User.objects.get(pk=ada.id))
    page = browser.get("/oauth/authorize", asked)["Location"]
    answer = browser.post(page, {"decision": "allow", "scopes": ["email:read"], "connection": ""})
    (code,) = parse_qs(urlsplit(answer["Location"]).query)["code"]
    public = {"client_id": client["client_id"]}
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    first = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier, **public}
    refresh = {
        "grant_type": "refresh_token",
        "refresh_token": expect(200, post_form("/oauth/token", first))["refresh_token"],
        **public,
    }
    renewed = expect(200, post_form("/oauth/token", refresh))
    stop()

    assert expect(503, post_form("/oauth/token", refresh))["error"] == "temporarily_unavailable"

    lift()
    assert expect(200, post_form("/oauth/token", refresh)) == renewed


def test_introspection_is_inactive_and_forward_auth_denies(developer: Api, agent: Json, ada: Any) -> None:
    body = {"name": "Mail", "identifier": MAIL, "scopes": ["email:read"]}
    server = expect(201, developer.post("/resource-servers", body))
    token = tokens_for(agent, ada, requestedScopes=["email:read"], resource=MAIL)["accessToken"]
    basic = "Basic " + base64.b64encode(f"{server['id']}:{server['secret']}".encode()).decode()
    headers = {"Authorization": f"Bearer {token}", "X-Resource-Server": basic}
    path = "/api/v1/forward-auth?scopes=email:read"

    def introspect() -> Json:
        sent = {"Authorization": basic}
        return expect(200, Client().post("/oauth/introspect", f"token={token}", content_type=FORM, headers=sent))

    assert introspect()["active"] is True
    assert Client().get(path, headers=headers).status_code == 200
    stop()

    assert introspect() == {"active": False}
    refused = Client().get(path, headers=headers)
    problem(refused, 403, "service_suspended")
    assert "WWW-Authenticate" not in refused


def test_authorize_and_par_tell_the_client_to_try_again(agent: Json) -> None:
    asked = {
        "client_id": agent["clientId"],
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "email:read",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    stop()

    url = link_on(Client().get("/oauth/authorize", asked))
    assert url.startswith(CALLBACK)
    assert query_in(url)["error"] == "temporarily_unavailable"
    answer = post_form("/oauth/par", {**asked, "client_secret": agent["clientSecret"]})
    assert expect(503, answer)["error"] == "temporarily_unavailable"


@cases("path", ["", "scopes", "connections", "activity", "account", "developer/", "developer/agents"])
def test_every_page_works(path: str, agent: Json) -> None:
    browser = Client()
    browser.force_login(User.objects.get(email="acme@example.com"))
    stop()

    assert browser.get(f"/{path}", follow=True).status_code == 200


def test_the_consent_page_says_why_nothing_can_be_allowed(agent: Json, ada: Any) -> None:
    pending, browser = initiate(agent), Client()
    browser.force_login(User.objects.get(pk=ada.id))
    stop()

    for answer in (
        browser.get(f"/consent/{pending}"),
        browser.post(f"/consent/{pending}", {"decision": "allow", "scopes": "email:read"}),
    ):
        assert answer.status_code == 503
        assert answer["Retry-After"] == "60"
        assert "An administrator has stopped all agents." in answer.content.decode()


def test_stopping_and_lifting_twice_change_nothing(anonymous: Api) -> None:
    stop()
    assert not stop_everything(actor=SYSTEM, reason="Again.")
    assert EmergencyStop.objects.get().reason == "Attack."
    lift()
    assert not lift_emergency_stop(actor=SYSTEM, reason="Again.")

    events = list(log_entries(event__startswith="everything.").values_list("event", flat=True))
    assert events == ["everything.stop_lifted", "everything.stopped"]
