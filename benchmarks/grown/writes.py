"""What developers, agents, services and users change, in the order in which they do it."""

import base64
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

from django.test import Client

from audit.sequencing.sequencer import sequence
from benchmarks.grown.visits import HOST, Visit, Visitors
from benchmarks.rows import CALLBACK
from benchmarks.seed import SCOPES
from consent.models import Approval, Consent
from consent.selectors import connection_state

FORM = "application/x-www-form-urlencoded"
HASHING = "hashes a password"
EMAIL, PASSWORD = "ada@example.com", "correct-horse-battery-7"
BATCH = 100
RULES = [{"type": "rate_limit", "config": {"maxRequests": 1_000_000, "windowSeconds": 3600, "scope": "per_user"}}]
# Each is a method of `Writes`. All repetitions of one come before the next.
STEPS = (
    *("create_agent", "change_agent", "rotate_client_secret"),
    *("create_policy", "change_policy", "delete_policy", "save_policy_form", "simulate"),
    *("create_server", "change_server", "rotate_server_secret", "delete_server"),
    *("initiate", "consent_page", "approve", "approve_again", "decide", "decide_again", "deny", "exchange", "refresh"),
    *("verify", "verify_batch", "reserve", "commit", "forward_auth", "introspect"),
    *("approve_request", "deny_request", "pause", "resume", "narrow", "revoke_token", "revoke_consent"),
    *("log_in", "sign_in", "register"),
)
EXEMPT = dict.fromkeys(("log_in", "sign_in", "register"), HASHING)


class Writes:
    """A step takes the number of its repetition, and uses what the same repetition of earlier steps made.

    `prepare_...` makes what a step needs for itself.
    """

    def __init__(self, visitors: Visitors) -> None:
        self.visitors, self.key, self.session = visitors, visitors.with_key, visitors.with_session
        self.made: dict[tuple[str, int], Any] = {}
        self.asked = ""
        self.live = self.shown = ""
        self.code = ""
        live = Consent.objects.filter(user=visitors.ada, status=Consent.Status.APPROVED)
        self.connections = list(live.select_related("agent").order_by("id"))
        waiting = Approval.objects.filter(user=visitors.ada, status=Approval.Status.PENDING, consent__in=live)
        self.waiting = list(waiting.order_by("-id").values_list("id", flat=True))
        self.run = token_hex(4)
        agent = self._post(self.key, "agents", _agent("Measured")).json()
        server = self._post(self.key, "resource-servers", self._service(-1)).json()
        self.agent = agent["id"]
        self.client = {"clientId": agent["clientId"], "clientSecret": agent["clientSecret"]}
        self.service = Client(headers={"host": HOST, "Authorization": _basic(server["id"], server["secret"])})

    def visits(self) -> Iterator[Visit]:
        for name in STEPS:
            prepare = getattr(self, f"prepare_{name}", lambda number: None)
            yield Visit("write", name, self._recorded(name), prepare, EXEMPT.get(name, ""))

    def _recorded(self, name: str) -> Any:
        def call(number: int) -> Any:
            answer = getattr(self, name)(number)
            if answer.headers.get("Content-Type", "").endswith("json"):
                self.made[name, number] = answer.json()
            return answer

        return call

    def create_agent(self, number: int) -> Any:
        return self._post(self.key, "agents", _agent(f"Agent {number}"))

    def change_agent(self, number: int) -> Any:
        return self._patch(f"agents/{self._of('create_agent', number, 'id')}", {"description": str(number)})

    def rotate_client_secret(self, number: int) -> Any:
        return self._post(self.key, f"agents/{self._of('create_agent', number, 'id')}/rotate-secret")

    def create_policy(self, number: int) -> Any:
        body = {"name": "Measured", "agentId": self._of("create_agent", number, "id"), "rules": RULES}
        return self._post(self.key, "policies", body)

    def change_policy(self, number: int) -> Any:
        return self._patch(f"policies/{self._of('create_policy', number, 'id')}", {"rules": RULES, "name": "Changed"})

    def delete_policy(self, number: int) -> Any:
        return self.key.delete(f"/api/v1/policies/{self._of('create_policy', number, 'id')}")

    def save_policy_form(self, number: int) -> Any:
        form = {"name": "Measured", "rules-0-type": "action_blocklist", "rules-0-actions": "payments:*"}
        form |= {"agent": self.agent, "status": "enforced"}
        return self.visitors.as_developer.post("/developer/policies/new", form)

    def simulate(self, number: int) -> Any:
        asked = {"agentId": self.agent, "requiredScopes": ["email:read"], "action": "email:read"}
        return self._post(self.key, "policies/simulate", {"policy": {"rules": RULES}, "request": asked})

    def create_server(self, number: int) -> Any:
        return self._post(self.key, "resource-servers", self._service(number))

    def change_server(self, number: int) -> Any:
        return self._patch(f"resource-servers/{self._of('create_server', number, 'id')}", {"name": "Changed"})

    def rotate_server_secret(self, number: int) -> Any:
        return self._post(self.key, f"resource-servers/{self._of('create_server', number, 'id')}/rotate-secret")

    def delete_server(self, number: int) -> Any:
        return self.key.delete(f"/api/v1/resource-servers/{self._of('create_server', number, 'id')}")

    def initiate(self, number: int) -> Any:
        return self._initiate(self.client)

    def consent_page(self, number: int) -> Any:
        return self.visitors.as_ada.get(f"/consent/{self._of('initiate', number, 'consentId')}")

    def prepare_approve(self, number: int) -> None:
        """Ask for an agent of its own: it is the user's first decision about it."""
        body = _agent(f"New {self.run}")
        self._ask({"clientId": self._post(self.key, "agents", body).json()["clientId"]})

    def approve(self, number: int) -> Any:
        return self._post(self.session, f"consent/{self.asked}/approve")

    def prepare_approve_again(self, number: int) -> None:
        """Ask for an agent to which the user has been connected for weeks."""
        consent = self.connections.pop()
        self.shown = connection_state(consent)
        self._ask({"clientId": consent.agent.client_id})

    approve_again = approve

    def prepare_decide(self, number: int) -> None:
        self.shown = ""
        self.prepare_approve(number)

    def decide(self, number: int) -> Any:
        form = {"decision": "allow", "scopes": SCOPES, "connection": self.shown}
        return self.visitors.as_ada.post(f"/consent/{self.asked}", form)

    prepare_decide_again, decide_again = prepare_approve_again, decide

    def prepare_deny(self, number: int) -> None:
        self._ask(self.client)

    def deny(self, number: int) -> Any:
        return self._post(self.session, f"consent/{self.asked}/deny")

    def prepare_exchange(self, number: int) -> None:
        self.prepare_deny(number)
        self.code = self.approve(number).json()["code"]

    def exchange(self, number: int) -> Any:
        return self._tokens("exchange", code=self.code)

    def refresh(self, number: int) -> Any:
        return self._tokens("refresh", refreshToken=self._of("exchange", number, "refreshToken"))

    def verify(self, number: int) -> Any:
        return self._post(self.service, "tokens/verify", self._question(number))

    def verify_batch(self, number: int) -> Any:
        return self._post(self.service, "tokens/verify/batch", {"requests": [self._question(number)] * BATCH})

    def reserve(self, number: int) -> Any:
        context = {"amount": {"value": "12.50", "currency": "EUR"}}
        return self._post(self.service, "tokens/verify", self._question(number) | {"reserve": True, "context": context})

    def commit(self, number: int) -> Any:
        reservation = self._of("reserve", number, "reservationId")
        return self._post(self.service, f"tokens/reservations/{reservation}/commit")

    def forward_auth(self, number: int) -> Any:
        headers = {"Authorization": f"Bearer {self._token(number)}", "X-Forwarded-Method": "GET"}
        return self.visitors.anonymous.get("/api/v1/forward-auth?scopes=email:read", headers=headers)

    def introspect(self, number: int) -> Any:
        return self.service.post("/oauth/introspect", f"token={self._token(number)}", content_type=FORM)

    def approve_request(self, number: int) -> Any:
        return self._post(self.session, f"approvals/{self.waiting.pop()}/approve")

    def deny_request(self, number: int) -> Any:
        return self._post(self.session, f"approvals/{self.waiting.pop()}/deny")

    def prepare_pause(self, number: int) -> None:
        self.resume(number)

    def pause(self, number: int) -> Any:
        return self._post(self.session, f"users/me/consents/{self.connections[0].id}/pause")

    def prepare_resume(self, number: int) -> None:
        self.pause(number)

    def resume(self, number: int) -> Any:
        return self._post(self.session, f"users/me/consents/{self.connections[0].id}/resume")

    def prepare_narrow(self, number: int) -> None:
        """Take a connection, with the journal as short as a running sequencer keeps it."""
        sequence()
        self.live = self.connections.pop().id

    def narrow(self, number: int) -> Any:
        body = {"modes": {"email:read": "ask"}}
        path = f"/api/v1/users/me/consents/{self.live}"
        return self.session.patch(path, body, content_type="application/json")

    def revoke_token(self, number: int) -> Any:
        return self._tokens("revoke", token=self._token(number))

    def prepare_revoke_consent(self, number: int) -> None:
        self.prepare_exchange(number)

    def revoke_consent(self, number: int) -> Any:
        return self._post(self.session, f"users/me/consents/{self.asked}/revoke")

    def log_in(self, number: int) -> Any:
        return self._post(self.visitors.anonymous, "users/login", {"email": EMAIL, "password": PASSWORD})

    def sign_in(self, number: int) -> Any:
        return Client(headers={"host": HOST}).post("/accounts/login/", {"login": EMAIL, "password": PASSWORD})

    def register(self, number: int) -> Any:
        body = {"email": f"{self.run}-{number}@example.com", "password": PASSWORD}
        return self._post(self.visitors.anonymous, "users/register", body)

    def _initiate(self, client: dict[str, str]) -> Any:
        body = {**client, "requestedScopes": SCOPES, "redirectUri": CALLBACK, "reason": "To answer your mail"}
        return self._post(self.visitors.anonymous, "consent/initiate", body)

    def _ask(self, client: dict[str, str]) -> None:
        self.asked = self._initiate(client).json()["consentId"]

    def _of(self, step: str, number: int, field: str) -> str:
        return str(self.made[step, number][field])

    def _token(self, number: int) -> str:
        return self._of("refresh", number, "accessToken")

    def _question(self, number: int) -> dict[str, Any]:
        return {"token": self._token(number), "requiredScopes": ["email:read"], "action": "email:read"}

    def _service(self, number: int) -> dict[str, Any]:
        texts = {"riskLevel": "low", "title": "Read", "description": "Read it", "cannot": "write it"}
        own = [{"id": f"acme:scope{each}", **texts} for each in range(10)]
        return {"name": "Service", "identifier": f"https://{self.run}.example/{number}", "scopes": [*SCOPES, *own]}

    def _tokens(self, what: str, **body: str) -> Any:
        return self._post(self.visitors.anonymous, f"tokens/{what}", {**body, **self.client})

    def _post(self, client: Client, path: str, body: Any = None) -> Any:
        return client.post(f"/api/v1/{path}", {} if body is None else body, content_type="application/json")

    def _patch(self, path: str, body: Any) -> Any:
        return self.key.patch(f"/api/v1/{path}", body, content_type="application/json")


def _agent(name: str) -> dict[str, Any]:
    return {"name": name, "redirectUris": [CALLBACK], "allowedScopes": SCOPES}


def _basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()
