"""The drivers of decisions, called from tests: the store of the server's event loop, and Django's connection."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import uvloop

from audit.entries import journal
from audit.entries.drafts import Prepared
from audit.events import Event
from audit.models import Journal
from consent.granting import approve_consent
from consent.models import Consent
from core.actor import SYSTEM
from decisions import basis, expectations
from decisions.memory import POLICY_SETS
from decisions.questions import Question, make_question
from decisions.requests import Credential, Decision, VerifyRequest
from decisions.services import decide
from decisions.stores.base import Store
from decisions.stores.opening import make_store
from policies.models import Policy
from policies.services import create_policy
from tests.world import ANONYMOUS, Grant, as_user, ask, make_caller, make_resource_server, make_user
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens

Decide = Callable[..., list[Decision]]
SHOP = "https://shop.example"

DECISIONS = frozenset({Event.TOKEN_VERIFY, Event.TOKEN_INTROSPECTED})


class EventLoop:
    """An event loop like the server's, which runs while a test calls a method, with any number of stores."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._stores: list[Store] = []

    def make_store(self) -> Store:
        self._stores.append(make_store())
        return self._stores[-1]

    def run[Result](self, work: Awaitable[Result]) -> Result:
        return self._runner.run(_await(work))

    def decide(self, *requests: VerifyRequest, store: Store | None = None) -> list[Decision]:
        """Decide one batch, on the first store unless another is given."""
        return self.run((store or self.first).decide(questions(*requests)))

    @property
    def first(self) -> Store:
        return self._stores[0] if self._stores else self.make_store()

    def close(self) -> None:
        for store in self._stores:
            self.run(store.close())
        self._runner.close()


@contextmanager
def event_loop() -> Iterator[EventLoop]:
    loop = EventLoop()
    try:
        yield loop
    finally:
        loop.close()


def decide_on_django(*requests: VerifyRequest) -> list[Decision]:
    return decide(requests)


def questions(*requests: VerifyRequest) -> list[Question]:
    return [make_question(request) for request in requests]


def asking(token: str, *scopes: str, **fields: Any) -> VerifyRequest:
    return VerifyRequest(token=token, required_scopes=scopes or ("email:read",), actor=ANONYMOUS, **fields)


def forget() -> None:
    """Forget what this process remembers between batches, as a new process does."""
    POLICY_SETS._policy_sets.clear()
    basis._bases.clear()
    for memory in (expectations._needed, expectations._agents, expectations._services, expectations._tasks_seen):
        memory.clear()


def written_rows() -> list[list[Prepared]]:
    """Return the entries of each row of the journal that decisions wrote, oldest first. A ping writes an empty one."""
    rows = [
        [journal.read(entry) for entry in journal.decode(body)]
        for body in Journal.objects.order_by("id").values_list("body", flat=True)
    ]
    return [row for row in rows if row and row[0].content["event"] in DECISIONS]


def without_id(decision: Decision) -> Decision:
    return replace(decision, audit_id=None)


def allowed(decisions: Sequence[Decision]) -> list[bool]:
    return [decision.allowed for decision in decisions]


def limit(grant: Grant, requests: int, scope: str = "per_agent", seconds: int = 3600) -> Policy:
    """Limit the requests of the agent's organization, by a policy that is named after the limit."""
    config = {"maxRequests": requests, "windowSeconds": seconds, "scope": scope}
    rules = [{"type": "rate_limit", "config": config}]
    organization = grant.agent.organization
    return create_policy(actor=SYSTEM, organization=organization, name=f"{requests} {scope}", rules=rules)


def bound(grant: Grant, **terms: Any) -> None:
    """Bound the grant's connection by terms, as its user would."""
    Consent.objects.filter(pk=grant.consent.pk).update(terms=terms)


def caller_of(grant: Grant, identifier: str = SHOP) -> Credential:
    """Return the credential of a new resource server of the agent's organization."""
    developer = grant.agent.organization.developers.get()
    return make_caller(make_resource_server(developer, identifier).server)


def another_user_of(grant: Grant, name: str = "eve") -> str:
    """Return an access token of the same agent for another user."""
    user = make_user(f"{name}@example.com")
    approval = approve_consent(actor=as_user(user), consent=ask(grant.agent, scopes=["email:read"]), user=user)
    issued = exchange_code(actor=ANONYMOUS, agent=grant.agent, code=approval.code)
    assert isinstance(issued, IssuedTokens)
    return issued.access_token


async def _await[Result](work: Awaitable[Result]) -> Result:
    return await work
