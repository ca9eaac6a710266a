"""The entries of an organization's log: decisions with their rules and scopes, requests for consent, and edits."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from benchmarks.rows import ACTOR
from core.actor import Actor
from core.ids import new_id

# Shares of all entries. The rest are decisions.
SHADOWED, CONSENTS, ISSUED, EDITED = 0.02, 0.04, 0.03, 0.002
DENIED = 0.12
# Share of the denials. The rest are those of a policy.
WITHOUT_POLICY = 0.45
REASONS = ("insufficient_scope", "insufficient_scope", "consent_revoked", "token_expired", "wrong_audience")
CONSENT_EVENTS = {Event.CONSENT_REQUESTED: 50, Event.CONSENT_APPROVED: 33, Event.CONSENT_DENIED: 9}
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
    """Whom the entries name. Each agent has the enforced policies and the shadows that apply to it, at least one."""

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
        shares = (SHADOWED, CONSENTS, ISSUED, EDITED, 1 - SHADOWED - CONSENTS - ISSUED - EDITED)
        for make in self.random.choices(makers, shares, k=number):
            yield make(self.random.choice(self.cast.connections))

    def _decision(self, about: Connected) -> Draft:
        if self.random.random() >= DENIED:
            return self._verify(about, Outcome.ALLOWED)
        if self.random.random() < WITHOUT_POLICY:
            return self._verify(about, Outcome.DENIED, reason=self.random.choice(REASONS))
        policy = self.random.choice(self.cast.policies[about.agent_id])
        return self._verify(about, Outcome.DENIED, reason="policy_denied", **self._ruled(policy))

    def _verify(self, about: Connected, outcome: Outcome, **fields: Any) -> Draft:
        scopes = self.random.sample(list(about.scopes), self.random.choice((1, 1, 1, 2)))
        return Draft(
            event=Event.TOKEN_VERIFY,
            actor=self._service(),
            outcome=outcome,
            service_organization_ids=(self.cast.organization_id,),
            action=scopes[0],
            scopes=scopes,
            resource="https://mail.example/mailboxes/inbox/messages/18c2f0b7",
            **self._about(about),
            **fields,
        )

    def _shadowed(self, about: Connected) -> Draft:
        policy, scope = self.random.choice(self.cast.shadows[about.agent_id]), self.random.choice(about.scopes)
        return Draft(
            event=Event.POLICY_SHADOWED,
            actor=self._service()._replace(ip=None, user_agent=""),
            organization_id=self.cast.organization_id,
            agent_id=about.agent_id,
            action=scope,
            scopes=(scope,),
            **self._ruled(policy, wouldBe="denied"),
        )

    def _consent(self, about: Connected) -> Draft:
        (event,) = self.random.choices([*CONSENT_EVENTS], [*CONSENT_EVENTS.values()])
        scopes = list(about.scopes)
        if event is Event.CONSENT_REQUESTED:
            return Draft(event=event, actor=_request(ACTOR), scopes=scopes, **self._about(about) | {"user_id": None})
        declined = scopes[:1] if self.random.random() < PARTLY else []
        granted = [] if event is Event.CONSENT_DENIED else [scope for scope in scopes if scope not in declined]
        metadata = {"requestedScopes": scopes, **({"notGranted": declined} if granted and declined else {})}
        actor = ACTOR.acting_as("user", about.user_id)
        return Draft(event=event, actor=actor, scopes=granted, metadata=metadata, **self._about(about))

    def _issued(self, about: Connected) -> Draft:
        return Draft(event=Event.TOKEN_ISSUED, actor=_request(ACTOR), scopes=about.scopes, **self._about(about))

    def _edited(self, about: Connected) -> Draft:
        event = self.random.choice(EDITS)
        policy = self.cast.policies[about.agent_id][0] if event is Event.POLICY_UPDATED else None
        return Draft(
            event=event,
            actor=_request(ACTOR.acting_as("developer", self.cast.developer_id)),
            organization_id=self.cast.organization_id,
            agent_id=about.agent_id if event in (Event.AGENT_UPDATED, Event.AGENT_SECRET_ROTATED) else None,
            policy_id=policy.policy_id if policy else None,
            metadata={"changed": ["name"]},
        )

    def _about(self, about: Connected) -> dict[str, Any]:
        return {
            "organization_id": self.cast.organization_id,
            "agent_id": about.agent_id,
            "user_id": about.user_id,
            "consent_id": about.consent_id,
        }

    def _ruled(self, policy: Denying, **more: str) -> dict[str, Any]:
        rule = {"ruleType": policy.rule_type, "ruleIndex": 0, "policyName": policy.name, "detail": "Not allowed."}
        organization_id = self.cast.organization_id
        return {"policy_id": policy.policy_id, "policy_organization_id": organization_id, "metadata": rule | more}

    def _service(self) -> Actor:
        return _request(ACTOR.acting_as("service", self.random.choice(self.cast.servers)))


def _request(actor: Actor) -> Actor:
    return actor._replace(request_id=new_id("req"))


def strangers(number: int) -> Cast:
    """Return a cast of `number` connections that have no rows."""
    ids = [f"{each:032x}" for each in range(number)]
    policy = Denying(f"pol_{ids[0]}", "No mail", "action_blocklist")
    ruled = {f"agt_{one}": [policy] for one in ids}
    connections = [Connected(f"cns_{one}", f"agt_{one}", f"usr_{one}", ["email:read", "email:send"]) for one in ids]
    return Cast(f"org_{ids[0]}", f"dev_{ids[0]}", connections, ruled, ruled, [f"res_{ids[0]}"])
