"""What developers, agents, services and users change, and what they ask of tokens."""

import base64
from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any

from django.test import Client

from approvals.models import Approval
from audit.sequencing.sequencer import sequence
from benchmarks.pages.dataset import EMAIL, PASSWORD
from benchmarks.pages.visits import HOST, Visit, Visitors
from benchmarks.seed import CALLBACK, SCOPES
from consent.models import Consent
from consent.selectors import connection_state
from policies.models import Policy

FORM = "application/x-www-form-urlencoded"
BATCH = 100
RULES = [{"type": "rate_limit", "config": {"maxRequests": 1_000_000, "windowSeconds": 3600, "scope": "per_user"}}]
RESERVED = {"reserve": True, "context": {"amount": {"value": "12.50", "currency": "EUR"}}}
MEASURED = "Measured"

type Step = Callable[[], Any]


class Caller:
    """Calls the API, and makes what the visits need."""

    def __init__(self, visitors: Visitors) -> None:
        clients = visitors.clients
        self.key, self.session, self.anonymous = clients["key"], clients["session"], clients["anonymous"]
        self.visitors = visitors
        live = Consent.objects.filter(user=visitors.ada, status=Consent.Status.APPROVED, agent__status="active")
        live = live.exclude(pk=visitors.consent.pk)
        self.connections = list(live.select_related("agent").order_by("id"))
        waiting = Approval.objects.filter(user=visitors.ada, status=Approval.Status.PENDING, consent__in=live)
        self.waiting = list(waiting.order_by("-id").values_list("id", flat=True))
        agent, server = self.agent(), self.server()
        self.client = {"clientId": agent["clientId"], "clientSecret": agent["clientSecret"]}
        basic = base64.b64encode(f"{server['id']}:{server['secret']}".encode()).decode()
        self.service = Client(headers={"host": HOST, "Authorization": f"Basic {basic}"})

    def post(self, client: Client, path: str, body: Any = None) -> Any:
        return client.post(f"/api/v1/{path}", {} if body is None else body, content_type="application/json")

    def patch(self, client: Client, path: str, body: Any) -> Any:
        return client.patch(f"/api/v1/{path}", body, content_type="application/json")

    def create_agent(self, _: object = None) -> Any:
        return self.post(self.key, "agents", {"name": MEASURED, "redirectUris": [CALLBACK], "allowedScopes": SCOPES})

    def agent(self) -> Any:
        return self.create_agent().json()

    def create_server(self, _: object = None) -> Any:
        scopes = [*SCOPES, *(f"acme:scope{each}" for each in range(10))]
        body = {"name": MEASURED, "identifier": f"https://{token_hex(8)}.example", "scopes": scopes}
        return self.post(self.key, "resource-servers", body)

    def server(self) -> Any:
        return self.create_server().json()

    def create_policy(self, agent: Any) -> Any:
        return self.post(self.key, "policies", {"name": MEASURED, "agentId": agent["id"], "rules": RULES})

    def agent_with_room(self) -> Any:
        """Return an agent, after deleting the policies of earlier visits: an organization may have few."""
        Policy.objects.filter(name=MEASURED).delete()
        return self.agent()

    def policy(self) -> Any:
        return self.create_policy(self.agent_with_room()).json()

    def save_policy_form(self, agent: Any) -> Any:
        form = {"name": MEASURED, "rules-0-type": "action_blocklist", "rules-0-actions": "payments:*"}
        form |= {"agent": agent["id"], "status": "enforced"}
        return self.visitors.clients["developer"].post(f"/developer/{self.visitors.organization}/policies/new", form)

    def initiate(self, client: Any) -> Any:
        body = {**client, "requestedScopes": SCOPES, "redirectUri": CALLBACK, "reason": "To answer your mail"}
        return self.post(self.anonymous, "consent/initiate", body)

    def asked(self) -> tuple[str, str]:
        """Return the id of a request by a new agent, and the state of the user's connection to it: there is none."""
        return str(self.initiate({"clientId": self.agent()["clientId"]}).json()["consentId"]), ""

    def asked_again(self) -> tuple[str, str]:
        """Return the same for an agent to which the user has been connected for weeks."""
        consent = self.connections.pop()
        shown = connection_state(consent)
        return str(self.initiate({"clientId": consent.agent.client_id}).json()["consentId"]), shown

    def approve(self, asked: tuple[str, str]) -> Any:
        return self.post(self.session, f"consent/{asked[0]}/approve")

    def decide(self, asked: tuple[str, str]) -> Any:
        form = {"decision": "allow", "scopes": SCOPES, "connection": asked[1]}
        return self.visitors.clients["ada"].post(f"/consent/{asked[0]}", form)

    def code(self) -> str:
        consent_id = self.initiate(self.client).json()["consentId"]
        return str(self.approve((consent_id, "")).json()["code"])

    def tokens(self, what: str, **body: str) -> Any:
        return self.post(self.anonymous, f"tokens/{what}", {**body, **self.client})

    def issued(self) -> Any:
        return self.tokens("exchange", code=self.code()).json()

    def question(self) -> dict[str, Any]:
        return {"token": self.issued()["accessToken"], "requiredScopes": ["email:read"], "action": "email:read"}

    def verify(self, question: Any) -> Any:
        return self.post(self.service, "tokens/verify", question)

    def reserved(self) -> str:
        return str(self.verify(self.question() | RESERVED).json()["reservationId"])

    def forward_auth(self, question: Any) -> Any:
        headers = {"Authorization": f"Bearer {question['token']}", "X-Forwarded-Method": "GET"}
        return self.anonymous.get("/api/v1/forward-auth?scopes=email:read", headers=headers)

    def introspect(self, question: Any) -> Any:
        return self.service.post("/oauth/introspect", f"token={question['token']}", content_type=FORM)

    def paused(self, what: str) -> str:
        """Return the path of a connection, after a pause, or after its end."""
        path = f"users/me/consents/{self.connections[0].id}"
        self.post(self.session, f"{path}/{what}")
        return path

    def connection(self) -> str:
        """Return the path of a connection, with the journal as short as a running sequencer keeps it."""
        sequence()
        return f"users/me/consents/{self.connections.pop().id}"

    def narrow(self, path: str) -> Any:
        return self.patch(self.session, path, {"modes": {"email:read": "ask"}})

    def sign_in(self, _: object) -> Any:
        return Client(headers={"host": HOST}).post("/accounts/login/", {"login": EMAIL, "password": PASSWORD})

    def register(self, _: object) -> Any:
        body = {"email": f"{token_hex(8)}@example.com", "password": PASSWORD}
        return self.post(self.anonymous, "users/register", body)


def writes(visitors: Visitors) -> Iterator[Visit]:
    it = Caller(visitors)
    for name, prepare, call in (*_of_developers(it), *_of_users(it), *_of_services(it)):
        yield Visit("write", name, call, prepare)


def _of_developers(it: Caller) -> Iterator[tuple[str, Step, Callable[[Any], Any]]]:
    yield "create an agent", lambda: None, it.create_agent
    yield "change an agent", it.agent, lambda one: it.patch(it.key, f"agents/{one['id']}", {"description": "Changed"})
    yield "rotate a client's secret", it.agent, lambda one: it.post(it.key, f"agents/{one['id']}/rotate-secret")
    yield "create a policy", it.agent_with_room, it.create_policy
    yield "save a policy's form", it.agent_with_room, it.save_policy_form
    yield "change a policy", it.policy, lambda one: it.patch(it.key, f"policies/{one['id']}", {"rules": RULES[:1] * 2})
    yield "delete a policy", it.policy, lambda one: it.key.delete(f"/api/v1/policies/{one['id']}")
    yield "create a resource server", lambda: None, it.create_server
    yield "delete a resource server", it.server, lambda one: it.key.delete(f"/api/v1/resource-servers/{one['id']}")


def _of_users(it: Caller) -> Iterator[tuple[str, Step, Callable[[Any], Any]]]:
    yield "ask for consent", lambda: it.client, it.initiate
    yield "open the consent page", it.asked, lambda asked: it.visitors.clients["ada"].get(f"/consent/{asked[0]}")
    yield "approve", it.asked, it.approve
    yield "approve again", it.asked_again, it.approve
    yield "decide on the page", it.asked, it.decide
    yield "decide again on the page", it.asked_again, it.decide
    yield "deny", it.asked, lambda asked: it.post(it.session, f"consent/{asked[0]}/deny")
    yield "approve an action", it.waiting.pop, lambda one: it.post(it.session, f"approvals/{one}/approve")
    yield "deny an action", it.waiting.pop, lambda one: it.post(it.session, f"approvals/{one}/deny")
    yield "pause", lambda: it.paused("resume"), lambda path: it.post(it.session, f"{path}/pause")
    yield "resume", lambda: it.paused("pause"), lambda path: it.post(it.session, f"{path}/resume")
    yield "narrow", it.connection, it.narrow
    yield "revoke a connection", it.connection, lambda path: it.post(it.session, f"{path}/revoke")
    yield "sign in, which hashes a password", lambda: None, it.sign_in
    yield "register, which hashes a password", lambda: None, it.register


def _of_services(it: Caller) -> Iterator[tuple[str, Step, Callable[[Any], Any]]]:
    yield "exchange", it.code, lambda code: it.tokens("exchange", code=code)
    yield "refresh", it.issued, lambda issued: it.tokens("refresh", refreshToken=issued["refreshToken"])
    yield "verify", it.question, it.verify
    yield (
        "verify a batch",
        it.question,
        lambda one: it.post(it.service, "tokens/verify/batch", {"requests": [one] * BATCH}),
    )
    yield "reserve", it.question, lambda question: it.verify(question | RESERVED)
    yield "commit", it.reserved, lambda one: it.post(it.service, f"tokens/reservations/{one}/commit")
    yield "forward auth", it.question, it.forward_auth
    yield "introspect", it.question, it.introspect
    yield "revoke a token", it.issued, lambda issued: it.tokens("revoke", token=issued["accessToken"])
