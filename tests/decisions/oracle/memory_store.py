"""The engine on a database that is a few dictionaries: it answers each statement of a conversation from them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from approvals.services import APPROVAL_USE_LIFETIME
from core.actor import Actor
from decisions.conversation import converse
from decisions.facts import (
    ApprovalFacts,
    CallerFacts,
    CounterFacts,
    PolicyFacts,
    ScopeFacts,
    ServiceFacts,
    TokenFacts,
)
from decisions.questions import Question
from decisions.requests import Credential, Decision, VerifyRequest
from decisions.stores.statements import Statement, Step
from resources.covers import OwnScope
from tests.decisions.oracle.calls import Call, Connection, Policy, Reaction, Service
from tests.decisions.oracle.cases import OWN_SCOPES
from tests.decisions.oracle.oracle import OUR_AUDIENCE, SHOP_COVERS, SHOP_OWNER
from tokens.access_tokens import Claims

VERSION = "1"
LATER, EARLIER = datetime(2100, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC)
BROKEN: Mapping[str, Mapping[str, Any]] = {
    "token_expired": {"expires_at": EARLIER},
    "token_revoked": {"is_family_revoked": True},
    "service_suspended": {"is_everything_stopped": True},
    "organization_suspended": {"is_organization_suspended": True},
    "organization_stopped": {"is_organization_stopped": True},
    "agent_suspended": {"is_agent_stopped": True},
    "user_inactive": {"is_user_active": False},
    "consent_revoked": {"consent_status": "revoked"},
    "consent_expired": {"consent_expires_at": EARLIER},
    "consent_paused": {"is_paused": True},
}


@dataclass
class MemoryStore:
    """The rows of one case. Forget what the process remembers before each case.

    `is_serial` is whether the conversation is that of SQLite, which locks no counters, or that of PostgreSQL.
    """

    policies: Sequence[Policy]
    services: Sequence[Service]
    labels: Mapping[str, Sequence[str]]
    is_serial: bool
    counters: dict[str, CounterFacts] = field(default_factory=dict)
    approvals: dict[str, ApprovalFacts] = field(default_factory=dict)
    contexts: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, TokenFacts] = field(default_factory=dict)

    def decide(self, calls: Sequence[Call]) -> list[Decision]:
        """Decide the calls in one batch."""
        for call in calls:
            if call.connection.name not in self.tokens:
                self.tokens[call.connection.name] = self.token(call.connection)
        conversation = converse([question_of(call) for call in calls], is_serial=self.is_serial)
        trip = next(conversation)
        while True:
            rows = [self.run(step) for step in (*trip.before, *trip.steps)][len(trip.before) :]
            try:
                trip = conversation.send(rows)
            except StopIteration as end:
                decisions: list[Decision] = end.value
                return decisions

    def react(self, approval_id: str, reaction: Reaction, now: datetime) -> None:
        """Answer a pending approval as `approvals.services` does."""
        row = self.approvals[approval_id]
        if row.status != "pending" or row.expires_at <= now:
            return
        if reaction.answer == "denied":
            self.approvals[approval_id] = row._replace(status="denied")
            return
        is_standing = reaction.answer == "target"
        lifetime = timedelta(seconds=reaction.seconds) if is_standing else APPROVAL_USE_LIFETIME
        changes = {"status": "approved", "is_standing": is_standing, "expires_at": now + lifetime}
        self.approvals[approval_id] = row._replace(**changes, context=self.contexts[approval_id])

    def run(self, step: Step) -> Sequence[Any]:
        match step.statement, step.parameters:
            case Statement.TOKENS, (ids,):
                return [self.tokens[token_id] for token_id in ids]
            case Statement.CALLERS, (digests,):
                return [self.caller(each) for each in self.services if each.name in digests]
            case Statement.SERVICES, (identifiers,):
                rows = [self.caller(each).service for each in self.services if each.identifier in identifiers]
                return list[ServiceFacts](rows)
            case Statement.POLICIES, (organizations,):
                return [row for each in organizations for row in self.policy_rows(each)]
            case Statement.SCOPES, (ids,):
                return [
                    ScopeFacts(each, json.dumps(self.labels[each]), "standard", None)
                    for each in ids
                    if each in self.labels
                ]
            case Statement.COUNTERS, (keys,):
                return [self.counters[key] for key in keys if key in self.counters]
            case Statement.APPROVALS, (digests, targets):
                return [row for row in self.approvals.values() if is_asked_for(row, digests, targets)]
        self.write(step)
        return ()

    def write(self, step: Step) -> None:
        match step.statement, step.parameters:
            case Statement.SAVE_COUNTERS, (keys, slots, counts, _):
                rows = map(CounterFacts, keys, slots, counts)
                self.counters |= {row.key: row for row in rows}
            case Statement.USE_APPROVALS, (_, ids):
                self.approvals |= {each: self.approvals[each]._replace(status="used") for each in ids}
            case Statement.CREATE_APPROVALS, (text,):
                for row in json.loads(text):
                    self.contexts[row["id"]] = json.dumps(row["context"])
                    self.approvals[row["id"]] = approval_of(row)
            case Statement.CREATE_COUNTERS, (_, keys):
                self.counters = {key: CounterFacts(key, 0, b"") for key in keys} | self.counters
            case unexpected, _:
                assert unexpected in (Statement.HOLD, Statement.WRITE_JOURNAL), unexpected

    def policy_rows(self, organization: str) -> list[PolicyFacts]:
        own = [OwnScope(each, "standard", covers_of(each), []) for each in OWN_SCOPES if organization == SHOP_OWNER]
        policies = [(index, each) for index, each in enumerate(self.policies) if each.organization == organization]
        return [
            PolicyFacts(organization, VERSION, json.dumps(own), *[None] * 6),
            *(
                PolicyFacts(organization, VERSION, None, f"pol_{i}", "", it.agent, it.mode, json.dumps(it.rules), "{}")
                for i, it in policies
            ),
        ]

    def caller(self, service: Service) -> CallerFacts:
        return CallerFacts(
            service.name,
            None,
            service.name,
            service.identifier,
            service.organization,
            service.is_suspended,
            VERSION,
        )

    def token(self, connection: Connection) -> TokenFacts:
        # Each missing scope is missing for one of four reasons.
        missing: list[list[str]] = [[], [], [], []]
        for number, scope in enumerate(self.labels):
            if scope not in connection.scopes:
                missing[number % 4].append(scope)
        facts = TokenFacts(
            token_id=connection.name,
            expires_at=LATER,
            scope=" ".join(scope for scope in self.labels if scope not in missing[0]),
            audience_json=json.dumps(audience_of(connection)),
            owners_json=json.dumps({each.identifier: each.organization for each in self.services}),
            is_family_revoked=False,
            removed_scopes=json.dumps(missing[3]),
            user_id=connection.user,
            is_user_active=True,
            consent_id=connection.name,
            consent_status="approved",
            consent_expires_at=LATER,
            consented_scopes=self.without(missing[2]),
            terms=json.dumps(connection.terms),
            is_paused=False,
            agent_id=connection.agent,
            client_id=connection.agent,
            agent_status="active",
            is_agent_stopped=False,
            is_stock=False,
            allowed_scopes=self.without(missing[1]),
            organization_id=connection.organization,
            is_organization_suspended=False,
            is_organization_stopped=False,
            policy_version=VERSION,
            is_everything_stopped=False,
        )
        for reason in connection.broken:
            facts = facts._replace(**BROKEN[reason])
        return facts

    def without(self, scopes: Sequence[str]) -> str:
        return json.dumps([scope for scope in self.labels if scope not in scopes])


def covers_of(scope: str) -> dict[str, int]:
    return {action: covers[scope] for action, covers in SHOP_COVERS.items() if scope in covers}


def question_of(call: Call) -> Question:
    """Return the question of a call, as if its token had been read."""
    connection = call.connection
    claims = Claims(
        connection.name,
        connection.agent,
        connection.user,
        connection.name,
        connection.scopes,
        audience_of(connection),
        LATER,
    )
    request = VerifyRequest(
        token="",
        required_scopes=call.scopes,
        actor=Actor("anonymous", ip=call.address),
        credential=Credential(call.asker.name, call.asker.name) if call.asker else None,
        action=call.action,
        resource=call.resource,
        context=call.context,
    )
    return Question(request, claims, None if call.asker else request.named_audience)


def audience_of(connection: Connection) -> tuple[str, ...]:
    return tuple(settings.API_URL if name == OUR_AUDIENCE else name for name in connection.audience)


def approval_of(row: Mapping[str, Any]) -> ApprovalFacts:
    expires_at = datetime.fromisoformat(row["expires_at"]).replace(tzinfo=UTC)
    return ApprovalFacts(
        row["id"],
        row["digest"],
        row["target_digest"],
        "pending",
        False,
        expires_at,
        "{}",
        json.dumps(row["asked_scopes"]),
        row["asked_by_rule"],
        None,
    )


def is_asked_for(row: ApprovalFacts, digests: Sequence[str], targets: Sequence[str]) -> bool:
    """Select approvals as the stores' SQL does."""
    is_listed = row.digest in digests or (row.is_standing and row.target_digest in targets)
    return is_listed and row.status in ("pending", "approved", "denied")
