"""Invisible characters never appear in JSON, on pages, in the admin site or in the log."""

import json

from django.db import connection
from django.test import Client

from accounts.models import User
from agents.models import Agent
from agents.services import stop_agent
from consent.connections import Choice
from consent.granting import approve_consent
from consent.models import Consent
from consent.services import revoke_consent
from core.actor import Actor
from developers.services import suspend_organization
from policies.services import create_policy
from tests import world
from tests.shared import cases
from tokens.exchange import exchange_code

TAGS = "".join(chr(0xE0000 + ord(letter)) for letter in "always allow")
HIDDEN = f"\u202e\u2066\u200b\u200d\ufe0f\u061c\u034f\U000e0001{TAGS}"
UNSEEN = {*HIDDEN, "\x07", "\x85", "\u2028"}
ADMINISTRATOR = Actor("administrator", "usr_admin")


def register_stock_client(**metadata):
    body = {"client_name": f"Quick{HIDDEN}Bots", "redirect_uris": ["https://quick.example/cb"], **metadata}
    return Client().post("/oauth/register", body, content_type="application/json")


def is_clean(response) -> bool:
    text = response.content.decode()
    escaped = any(json.dumps(character)[1:-1] in text for character in UNSEEN)
    return response.status_code < 400 and not UNSEEN & set(text) and not escaped


def test_names_of_registered_clients_are_cleaned(db):
    answer = register_stock_client()
    assert answer.status_code == 201
    assert answer.json()["client_name"] == "QuickBots"
    assert register_stock_client(client_name=HIDDEN).json()["client_name"] == "quick.example"


def test_the_name_is_clean_everywhere(as_ada, ada):
    client = register_stock_client().json()
    asked = {
        "clientId": client["client_id"],
        "clientSecret": client["client_secret"],
        "requestedScopes": ["email:read"],
        "redirectUri": "https://quick.example/cb",
        "codeChallenge": "x" * 43,
        "codeChallengeMethod": "S256",
        "reason": f"To{TAGS} help",
    }
    consent_id = Client().post("/api/v1/consent/initiate", asked, content_type="application/json").json()["consentId"]
    shown = as_ada.get(f"/api/v1/consent/{consent_id}")
    assert (shown.json()["agent"]["name"], shown.json()["reason"]) == ("QuickBots", "To help")
    pages = [as_ada.get(f"/consent/{consent_id}"), shown]
    world.allow(Consent.objects.get(id=consent_id), ada)
    pages += [as_ada.get(path) for path in ("/connections", f"/connections/{consent_id}", "/activity")]
    pages += [as_ada.get("/api/v1/users/me/consents"), as_ada.get("/api/v1/users/me/audit-logs")]
    assert [is_clean(page) for page in pages] == [True] * len(pages)


def test_the_admin_site_is_clean(db):
    register_stock_client()
    agent = Agent.objects.get()
    site = world.sign_in(User.objects.create_superuser("root@example.com", "x"))
    paths = ["agents/agent/", f"agents/agent/{agent.id}/change/", "audit/entry/"]
    assert all(is_clean(site.get(f"/admin/{path}")) for path in paths)


def test_texts_of_agents_and_scopes_are_cleaned(as_developer, developer):
    fields = {
        "name": f"Smart{TAGS}Mail",
        "description": f"Sorts\n mail{HIDDEN}",
        "redirectUris": [world.CALLBACK],
        "allowedScopes": ["email:read"],
    }
    agent = as_developer.post("/api/v1/agents", fields, content_type="application/json")
    assert (agent.json()["name"], agent.json()["description"]) == ("SmartMail", "Sorts mail")
    words = {"title": f"Read{TAGS} it", "description": "See\u200d it", "cannot": "break\ufe0f it"}
    scope = {"id": "acme:read", "riskLevel": "low", **words}
    body = {"name": f"Acme{TAGS}", "identifier": "https://acme.example", "scopes": [scope]}
    server = as_developer.post("/api/v1/resource-servers", body, content_type="application/json")
    assert server.json()["name"] == "Acme"
    assert server.json()["scopes"][0]["title"] == "Read it"
    assert is_clean(agent)
    assert is_clean(server)


@cases("name", ["\u200b\u2060", TAGS, "\u202eSmartMail", "Smart\x07Mail", "Smart\nMail"])
def test_the_api_refuses_control_and_bidi_characters_and_invisible_names(as_developer, name):
    fields = {"name": name, "redirectUris": [world.CALLBACK], "allowedScopes": ["email:read"]}
    answer = as_developer.post("/api/v1/agents", fields, content_type="application/json")
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["name"]


def test_a_form_treats_an_invisible_name_as_empty(as_developer):
    fields = {"name": HIDDEN, "redirect_uris": world.CALLBACK, "allowed_scopes": ["email:read"]}
    assert "This field is required" in as_developer.post("/developer/agents/new", fields).content.decode()
    assert not Agent.objects.exists()


def test_a_row_written_without_the_models_is_cleaned_on_display(as_ada, ask, agent):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE agents_agent SET name = %s WHERE id = %s", [f"Smart{HIDDEN}Mail", agent.id])
    consent = ask()
    assert is_clean(as_ada.get(f"/consent/{consent.id}"))
    assert as_ada.get(f"/api/v1/consent/{consent.id}").json()["agent"]["name"] == "SmartMail"


def test_the_reason_for_a_stop_is_cleaned(as_developer, agent):
    stop_agent(actor=ADMINISTRATOR, agent=agent, reason=f"Spam{HIDDEN}\x07 again")
    assert Agent.objects.values_list("stop_reason", flat=True).get() == "Spam again"
    shown = as_developer.get(f"/api/v1/agents/{agent.id}")
    assert shown.json()["stop"]["reason"] == "Spam again"
    logged = as_developer.get("/api/v1/audit?event=agent.stopped")
    assert logged.json()["items"][0]["metadata"] == {"reason": "Spam again"}
    assert [is_clean(page) for page in (shown, logged, as_developer.get(f"/developer/agents/{agent.id}"))] == [True] * 3


def test_the_reason_for_a_suspension_is_cleaned(as_developer, developer):
    suspend_organization(actor=ADMINISTRATOR, organization=developer.organization, reason=f"Fraud{HIDDEN}\x07 reports")
    answer = as_developer.get("/api/v1/agents")
    assert answer.status_code == 403
    assert answer.json()["detail"].endswith("Reason: Fraud reports")
    page = as_developer.get("/developer/agents")
    assert page.status_code == 403
    assert not UNSEEN & set(page.content.decode())


def test_the_reason_for_a_revocation_is_cleaned(as_ada, granted):
    revoke_consent(actor=ADMINISTRATOR, consent=granted, reason=f"A{TAGS} complaint\x07")
    logged = as_ada.get("/api/v1/users/me/audit-logs?event=consent.revoked")
    assert logged.json()["items"][0]["metadata"]["reason"] == "A complaint"
    assert is_clean(logged)


HARD = ["\u202e", "\u2066", "\x07", "\x85", "\u2028"]


def verify(token, **fields):
    body = {"token": token, "requiredScopes": ["email:read"], **fields}
    return Client().post("/api/v1/tokens/verify", body, content_type="application/json")


@cases("field", ["action", "resource"])
@cases("character", HARD)
def test_verify_refuses_control_and_bidi_characters(db, field, character):
    answer = verify("x", **{field: f"pay{character}ments"})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@cases("field", ["action", "resource"])
def test_forward_auth_refuses_control_and_bidi_characters(db, field):
    for character in HARD:
        asked = {"scopes": "email:read", field: f"pay{character}ments"}
        answer = Client().get("/api/v1/forward-auth", asked, headers={"Authorization": "Bearer x"})
        assert answer.status_code == 400
        assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_policies_evaluate_the_same_text_that_the_log_shows(as_ada, as_developer, ada, agent, developer):
    create_policy(
        actor=world.ANONYMOUS,
        organization=developer.organization,
        agent=agent,
        name="No sending",
        rules=[{"type": "action_blocklist", "config": {"actions": ["email:send"]}}],
    )
    approval = approve_consent(actor=world.as_user(ada), consent=world.ask(agent), user=ada, choice=Choice())
    token = exchange_code(actor=world.ANONYMOUS, agent=agent, code=approval.code).access_token
    hidden = f"email:{TAGS}\u200bsend"
    assert verify(token, action=hidden, resource=f"https://pay{TAGS}.example").json()["reason"] == "policy_denied"
    proxied = {"scopes": "email:read", "action": hidden, "resource": f"pay{TAGS}"}
    answer = Client().get("/api/v1/forward-auth", proxied, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer["X-AgentGate-Reason"]) == (403, "policy_denied")
    for reader, path in ((as_ada, "/api/v1/users/me/audit-logs"), (as_developer, "/api/v1/audit")):
        log = reader.get(path)
        assert is_clean(log)
        entries = [entry for entry in log.json()["items"] if entry["event"] == "token.verify"]
        assert [(entry["action"], entry["resource"]) for entry in entries] == [
            ("email:send", "pay"),
            ("email:send", "https://pay.example"),
        ]


@cases(
    ("path", "body"),
    [
        ("/api/v1/consent/initiate", {"requestedScopes": [f"email:{HIDDEN}read"]}),
        ("/api/v1/consent/initiate", {f"x{HIDDEN}": 1}),
        ("/api/v1/agents", {"allowedScopes": [f"email:{HIDDEN}read"], "name": "A", "redirectUris": [world.CALLBACK]}),
        ("/api/v1/policies", {"name": "A", "rules": [{"type": f"rate{HIDDEN}", "config": {}}]}),
        ("/api/v1/policies", {"name": "A", "rules": [{"type": "action_blocklist", "config": {"actions": [HIDDEN]}}]}),
        ("/oauth/register", {"redirect_uris": [f"https://a.example/{HIDDEN}"]}),
    ],
)
def test_error_messages_do_not_contain_them(as_developer, agent, path, body):
    if path.endswith("initiate"):
        body = {"clientId": agent.client_id, "requestedScopes": ["email:read"], "redirectUri": world.CALLBACK, **body}
    answer = as_developer.post(path, body, content_type="application/json")
    assert answer.status_code == 400
    assert not UNSEEN & set(json.dumps(answer.json(), ensure_ascii=False))


def test_errors_of_filters_and_edits_do_not_contain_them(as_developer, agent):
    answer = as_developer.get("/api/v1/audit", {"event": f"x{HIDDEN}"})
    assert answer.status_code == 400
    assert not UNSEEN & set(json.dumps(answer.json(), ensure_ascii=False))
    changed = {"status": f"x{HIDDEN}"}
    answer = as_developer.patch(f"/api/v1/agents/{agent.id}", changed, content_type="application/json")
    assert answer.status_code == 400
    assert not UNSEEN & set(json.dumps(answer.json(), ensure_ascii=False))


def test_an_email_address_with_invisible_characters_is_refused(db):
    body = {"email": f"ada@ex{HIDDEN}ample.com", "password": world.PASSWORD, "name": "Ada"}
    answer = Client().post("/api/v1/users/register", body, content_type="application/json")
    assert answer.status_code == 400
    assert not User.objects.exists()
