"""The log of the organization: decisions with their rules and scopes, requests for consent, and edits."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from benchmarks.rows import ACTOR
from core.ids import new_id

# Shares of all entries. The rest are decisions.
SHADOWED, REQUESTED, ISSUED, EDITED = 0.02, 0.04, 0.03, 0.002
DENIED = 0.12
# Of the denials. The rest are those of a policy.
BY_USER, OTHERWISE = 0.1, 0.35
REASONS = ("insufficient_scope", "insufficient_scope", "consent_revoked", "token_expired", "wrong_audience")
STEPS = (Event.CONSENT_REQUESTED, Event.CONSENT_APPROVED, Event.CONSENT_DENIED, Event.CONSENT_EXPIRED)
STEP_WEIGHTS = (50, 33, 9, 8)
PARTLY = 0.3
EDITS = (Event.AGENT_UPDATED, Event.POLICY_UPDATED, Event.RESOURCE_SERVER_UPDATED, Event.AGENT_SECRET_ROTATED)


class Connected(NamedTuple):
    """The ids of a connection, and what it grants."""

    consent_id: str
    agent_id: str
    user_id: str
    scopes: Sequence[str]


class Denying(NamedTuple):
    """A policy, by its id, its name and the type of its first rule."""

    policy_id: str
    name: str
    rule_type: str


@dataclass(frozen=True)
class Cast:
    """Whom the entries name. Each agent has the enforced policies and the shadows that concern it."""

    organization_id: str
    developer_id: str
    connections: Sequence[Connected]
    policies: Mapping[str, Sequence[Denying]]
    shadows: Mapping[str, Sequence[Denying]]
    servers: Sequence[str]


class Story:
    """Makes drafts of entries, the same ones for the same cast, except for their request ids."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        self.random = random.Random(7)

    def drafts(self, number: int) -> Iterator[Draft]:
        makers = (self._shadowed, self._consent, self._issued, self._edited, self._decision)
        shares = (SHADOWED, REQUESTED, ISSUED, EDITED, 1 - SHADOWED - REQUESTED - ISSUED - EDITED)
        for make in self.random.choices(makers, shares, k=number):
            yield make()

    def _decision(self) -> Draft:
        if self.random.random() >= DENIED:
            return self._verify(Outcome.ALLOWED)
        kind = self.random.random()
        if kind < BY_USER:
            metadata = {"ruleType": "rate_limit", "limitedBy": "user"}
            return self._verify(Outcome.DENIED, reason="policy_denied", metadata=metadata)
        if kind < BY_USER + OTHERWISE:
            return self._verify(Outcome.DENIED, reason=self.random.choice(REASONS))
        about = self.random.choice(self.cast.connections)
        policy = self.random.choice(self.cast.policies[about.agent_id])
        return self._verify(
            Outcome.DENIED,
            about,
            reason="policy_denied",
            policy_id=policy.policy_id,
            policy_organization_id=self.cast.organization_id,
            metadata=_rule(policy),
        )

    def _verify(self, outcome: Outcome, about: Connected | None = None, **fields: Any) -> Draft:
        about, service = about or self.random.choice(self.cast.connections), self.random.choice(self.cast.servers)
        scopes = self.random.sample(list(about.scopes), self.random.choice((1, 1, 1, 2)))
        return Draft(
            event=Event.TOKEN_VERIFY,
            actor=self._service(service),
            outcome=outcome,
            service_organization_ids=(self.cast.organization_id,),
            action=scopes[0],
            scopes=scopes,
            resource="https://mail.example/mailboxes/inbox/messages/18c2f0b7",
            **self._about(about),
            **fields,
        )

    def _shadowed(self) -> Draft:
        about, service = self.random.choice(self.cast.connections), self.random.choice(self.cast.servers)
        policy = self.random.choice(self.cast.shadows[about.agent_id])
        scope = self.random.choice(about.scopes)
        return Draft(
            event=Event.POLICY_SHADOWED,
            actor=self._service(service)._replace(ip=None, user_agent=""),
            organization_id=self.cast.organization_id,
            agent_id=about.agent_id,
            policy_id=policy.policy_id,
            policy_organization_id=self.cast.organization_id,
            action=scope,
            scopes=(scope,),
            metadata={"wouldBe": "denied", **_rule(policy)},
        )

    def _consent(self) -> Draft:
        (event,) = self.random.choices(STEPS, STEP_WEIGHTS)
        about = self._about(self.random.choice(self.cast.connections))
        scopes = list(self.cast.connections[0].scopes)
        if event in (Event.CONSENT_REQUESTED, Event.CONSENT_EXPIRED):
            return Draft(event=event, actor=self._asker(), scopes=scopes, **about | {"user_id": None})
        left_out = self.random.sample(scopes, 1) if self.random.random() < PARTLY else []
        granted = [] if event == Event.CONSENT_DENIED else [scope for scope in scopes if scope not in left_out]
        metadata = {"requestedScopes": scopes, **({"notGranted": left_out} if granted and left_out else {})}
        actor = ACTOR.acting_as("user", str(about["user_id"]))
        return Draft(event=event, actor=actor, scopes=granted, metadata=metadata, **about)

    def _issued(self) -> Draft:
        about = self.random.choice(self.cast.connections)
        return Draft(event=Event.TOKEN_ISSUED, actor=self._asker(), scopes=about.scopes, **self._about(about))

    def _edited(self) -> Draft:
        about = self.random.choice(self.cast.connections)
        actor = ACTOR.acting_as("developer", self.cast.developer_id)._replace(request_id=new_id("req"))
        event = self.random.choice(EDITS)
        agent_id = about.agent_id if event in (Event.AGENT_UPDATED, Event.AGENT_SECRET_ROTATED) else None
        is_policy = event is Event.POLICY_UPDATED
        return Draft(
            event=event,
            actor=actor,
            organization_id=self.cast.organization_id,
            agent_id=agent_id,
            policy_id=self.cast.policies[about.agent_id][0].policy_id if is_policy else None,
            metadata={"changed": ["name"]},
        )

    def _about(self, about: Connected) -> dict[str, Any]:
        return {
            "organization_id": self.cast.organization_id,
            "agent_id": about.agent_id,
            "user_id": about.user_id,
            "consent_id": about.consent_id,
        }

    def _service(self, server_id: str) -> Any:
        return ACTOR.acting_as("service", server_id)._replace(request_id=new_id("req"))

    def _asker(self) -> Any:
        return ACTOR._replace(request_id=new_id("req"))


def _rule(policy: Denying) -> dict[str, Any]:
    return {"ruleType": policy.rule_type, "ruleIndex": 0, "policyName": policy.name, "detail": "Not allowed."}
