"""A person who has used everything, to be erased, and what would name them afterwards."""

from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.test import Client, override_settings

from accounts.erasure import erase_user
from accounts.models import AddressCode, User
from consent.models import Consent
from consent.services import revoke_consent
from core.actor import SYSTEM, Actor
from tests.api.conftest import Api, Json, code_for, credentials, expect, new_agent, tokens_for, verify
from tests.constants import CALLBACK, PASSWORD
from tests.dumps import readable_dump
from tests.mails import code_in

EMAIL, SECOND, NAME = "zoraida@home.example", "zoraida.second@home.example", "Zoraida Quux"
BROWSER_IP, CONTEXT_IP, BROWSER = "198.51.100.77", "192.0.2.201", "ZoraidasBrowser/7.1"
RESOURCE, TEXT, REASON, STATE = "https://mail.example/zoraida-inbox", "Dinner with Ferenc", "Help Zoraida", "zstate-17"
REQUEST = "trace-of-z.kodaly"
ACCOUNT = "NL02ABNA0123456789"
TRACES = (
    EMAIL,
    SECOND,
    NAME,
    BROWSER_IP,
    CONTEXT_IP,
    BROWSER,
    RESOURCE,
    TEXT,
    REASON,
    STATE,
    "Zoraida",
    "zoraida",
    REQUEST,
    ACCOUNT,
)
THROTTLES = dict.fromkeys(("THROTTLE_SIGN_IN", "THROTTLE_REGISTRATION", "THROTTLE_INITIATE"), "1000/minute")
OTHERS, OTHERS_BROWSER = "203.0.113.99", "RootsBrowser/9"  # of an administrator
HOME = {"REMOTE_ADDR": BROWSER_IP, "HTTP_USER_AGENT": BROWSER}


class Home(Api):
    """A client for the API at the person's address."""

    def __init__(self, **headers: str) -> None:
        super().__init__(**headers)
        self.client = Client(**HOME)  # type: ignore[arg-type]


def make_life(developer: Api, agent: Json, mails: list[Any]) -> Json:
    """Return what is left of a person who has used everything: an account, a connection, and an organization."""
    anonymous = Home()
    with override_settings(REQUIRE_VERIFIED_EMAIL=True):
        user, session = _register(anonymous, mails)
    person = Home(Authorization=f"Bearer {session['sessionToken']}", X_Request_Id=REQUEST)
    return {
        "user": user["id"],
        "person": person,
        "browser": _use_browser(mails),
        "tokens": _connect(agent, person, user["id"], new_agent(developer, name="Summarizer")),
        "own": _develop(),
        "code": code_for(new_agent(developer, name="Other"), person),
    }


def _register(anonymous: Api, mails: list[Any]) -> tuple[Json, Json]:
    body = {"email": EMAIL, "password": PASSWORD, "name": NAME}
    expect(202, anonymous.post("/users/register", body))
    confirmation = {"email": EMAIL, "code": code_in(mails[-1])}
    user = expect(201, anonymous.post("/users/register/confirm", confirmation, Idempotency_Key="1"))
    session = expect(200, anonymous.post("/users/login", {"email": EMAIL, "password": PASSWORD}, Idempotency_Key="2"))
    expect(401, anonymous.post("/users/login", {"email": EMAIL, "password": "wrong"}))
    expect(202, anonymous.post("/users/register", body))  # of a taken address, never confirmed
    return user, session


def _use_browser(mails: list[Any]) -> Client:
    """Sign in, add an address, ask for another one, and change the password back and forth."""
    browser = Client(**HOME)  # type: ignore[arg-type]
    assert browser.post("/accounts/login/", {"login": EMAIL, "password": PASSWORD}).status_code == 302
    browser.post("/accounts/email/", {"email": SECOND, "action_add": ""})
    browser.post("/accounts/email/confirm/", {"code": code_in(mails[-1])})
    browser.post("/accounts/email/", {"email": f"third.{EMAIL}", "action_add": ""})
    assert AddressCode.objects.filter(email=f"third.{EMAIL}").exists()
    abandoned = Client(**HOME)  # type: ignore[arg-type]
    assert abandoned.post("/accounts/login/", {"login": EMAIL, "password": PASSWORD}).status_code == 302
    return browser


def _connect(agent: Json, person: Api, user_id: str, other: Json) -> Json:
    """Decide requests, leave one undecided, let the agent act, and hand work to the other."""
    request = {"clientId": agent["clientId"], "requestedScopes": ["email:read"], "redirectUri": CALLBACK}
    request |= {"reason": REASON, "state": STATE, "userId": user_id}
    request |= {"authorizationDetails": [{"type": "account", "identifiers": [ACCOUNT]}]}
    for decision, choice in (("deny", {}), ("approve", {"delegation": "developer"}), (None, {})):
        consent_id = expect(201, Home().post("/consent/initiate", request))["consentId"]
        if decision:
            expect(200, person.post(f"/consent/{consent_id}/{decision}", choice))
    tokens = tokens_for(agent, person, reason=REASON, state=STATE)
    context = {"ip": CONTEXT_IP, "text": TEXT, "amount": {"value": "12.50", "currency": "EUR"}, "target": ACCOUNT}
    for scope in ("email:read", "payments:charge"):
        verify(tokens["accessToken"], scope, resource=RESOURCE, context=context)
    for path in (f"/users/me/consents/{tokens['consentId']}", "/users/me/agents"):
        assert expect(200, person.post(f"{path}/pause", {"reason": REASON}))["pausedAt"]
        assert expect(200, person.get(f"{path}/stop"))["proof"]["reason"] == REASON
        expect(200, person.post(f"{path}/resume"))
    _hand_over(agent, tokens["accessToken"], other)
    body = {"refreshToken": tokens["refreshToken"], **credentials(agent)}
    return expect(200, Home().post("/tokens/refresh", body, Idempotency_Key="3"))


def _hand_over(agent: Json, token: str, other: Json) -> None:
    """Hand work over for a task and with bounds that name people, and let the other agent act."""
    only = {"conditions": [{"field": "recipient", "operator": "matches_any", "values": [EMAIL]}]}
    body = {
        "token": token,
        "to": other["clientId"],
        "scopes": ["email:read"],
        "targets": [{"type": "account", "identifiers": [ACCOUNT]}],
        "limits": {"email:read": [{"type": "context_match", "config": only}]},
        "task": TEXT,
        **credentials(agent),
    }
    made = expect(201, Home().post("/delegations", body, Idempotency_Key="4"))
    redeemed = {"delegationToken": made["delegationToken"], **credentials(other)}
    issued = expect(200, Home().post("/tokens/exchange", redeemed, Idempotency_Key="5"))
    context = {"recipient": EMAIL, "target": ACCOUNT, "ip": CONTEXT_IP}
    assert verify(issued["accessToken"], resource=RESOURCE, context=context)["allowed"]


def _develop() -> Json:
    """Become a developer whose organization has the person's name, and register an agent."""
    body = {"email": EMAIL, "password": PASSWORD, "name": NAME}
    developer = expect(201, Home().post("/developers/register", body))
    return {**developer, "agent": new_agent(Home(X_Api_Key=developer["apiKey"]), name="Own agent")}


def erase(life: Json) -> bool:
    return erase_user(actor=SYSTEM, user=User.objects.get(pk=life["user"]))


def traces() -> list[str]:
    """Return what names the person, with its surroundings."""
    dump = readable_dump()
    return [f"{trace}: {dump[at - 60 : at + 60]!r}" for trace in TRACES if (at := dump.find(trace.encode())) >= 0]


def administrate(life: Json) -> None:
    """Let an administrator revoke one of the person's connections, and leave a row of Django's own history.

    Earlier versions wrote such rows.
    """
    administrator = User.objects.create_superuser("root@example.com", PASSWORD)
    LogEntry.objects.create(user=administrator, object_id=life["user"], object_repr=EMAIL, action_flag=CHANGE)
    actor = Actor("administrator", administrator.id, ip=OTHERS, user_agent=OTHERS_BROWSER, request_id="trace-of-root")
    consent = Consent.objects.get(status=Consent.Status.APPROVED, agent__name="Other")
    revoke_consent(actor=actor, consent=consent, reason=f"{NAME} called.")
