"""The live facts of a decision, as the stores read them in its transaction. Each class is one row of a query.

The names and types of the fields are the columns of the query, in order.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from django.conf import settings

from agents.stops import Stopper, find_stopper
from approvals.statuses import times_per_day
from consent.statuses import status_at
from core.money import read_units

MAX_PARSED = 16_384
# The characters of facts. A process remembers many, and longer ones would take too much of its memory.
MAX_REMEMBERED = 4_000


class TokenFacts(NamedTuple):
    """An access token that we signed, with its family, consent, user, agent and the agent's organization.

    `audience`, `removed_scopes`, `consented_scopes` and `allowed_scopes` are JSON lists, `owners` and `terms` JSON
    objects. `owners` are the organizations of the audience's services when the user was asked, by identifier. A stock
    client has no organization, and a token by client credentials no user and no consent.
    """

    token_id: str
    expires_at: datetime
    scope: str
    audience_json: str
    owners_json: str
    is_family_revoked: bool
    removed_scopes: str
    user_id: str | None
    is_user_active: bool | None
    consent_id: str | None
    consent_status: str | None
    consent_expires_at: datetime | None
    consented_scopes: str | None
    terms: str | None
    is_paused: bool
    agent_id: str
    client_id: str
    agent_status: str
    is_agent_stopped: bool
    is_stock: bool
    allowed_scopes: str
    organization_id: str | None
    is_organization_suspended: bool | None
    is_organization_stopped: bool | None
    policy_version: str | None
    is_everything_stopped: bool

    @property
    def audience(self) -> tuple[str, ...]:
        return _names(self.audience_json)

    @property
    def owners(self) -> Mapping[str, str]:
        return _owners(self.owners_json)

    @property
    def granted_scopes(self) -> tuple[str, ...]:
        """The scopes of the token that the agent is still allowed and the user still grants."""
        allowed = None if self.is_stock else self.allowed_scopes
        return _granted(self.scope, allowed, self.consented_scopes, self.removed_scopes)

    @property
    def targets(self) -> Mapping[str, Any]:
        """The targets to which the user limits scopes (`consent.targets`)."""
        return _targets(self.terms) if self.terms else {}

    @property
    def stopper(self) -> Stopper | None:
        """Why the agent may not act, or None if it may."""
        return find_stopper(
            organization_suspended=bool(self.is_organization_suspended),
            organization_stopped=bool(self.is_organization_stopped),
            is_stopped=self.is_agent_stopped,
            status=self.agent_status,
        )

    @property
    def consent_end(self) -> datetime:
        """When the consent ends. Only for tokens with a consent."""
        if self.consent_expires_at is None:
            raise ValueError("A token without a consent has no end of it.")
        return self.consent_expires_at

    def consent_status_at(self, now: datetime) -> str | None:
        """The status of the consent at `now`, or None without a consent."""
        if self.consent_status is None or self.consent_expires_at is None:
            return None
        return status_at(now, stored=self.consent_status, expires_at=self.consent_expires_at)


class Versions(NamedTuple):
    """The versions of the rows from which the facts of a token come, or those of a caller, which has only three rows.

    `key` is the token's id, or the digest of the caller's secret. `is_everything_stopped` is the one fact of a token
    that comes from another row.
    """

    key: str
    token_or_secret: bytes
    family_or_server: bytes
    agent: bytes | None
    organization: bytes | None
    person: bytes | None
    consent: bytes | None
    is_everything_stopped: bool


class AgentFacts(NamedTuple):
    """The agent of a token that we signed but whose row is deleted: swept, or deleted with its user."""

    client_id: str
    agent_id: str
    organization_id: str | None


class ServiceFacts(NamedTuple):
    """A resource server and its current organization. It `is_suspended` if that is suspended or being deleted."""

    server_id: str
    identifier: str
    organization_id: str
    is_suspended: bool
    policy_version: str

    def accepts(self, audience: Collection[str], owners: Mapping[str, str], organization_id: str | None) -> bool:
        """Return whether a token with this audience, of an agent of this organization, is for the service (RFC 8707).

        The default audience covers all services of the agent's own organization. An identifier in the audience is for
        the organization that owned it when the token was granted, in `owners`, not for one that registered it later.
        """
        is_default = settings.API_URL in audience and organization_id == self.organization_id
        return is_default or (self.identifier in audience and owners.get(self.identifier) == self.organization_id)


class CallerFacts(NamedTuple):
    """A secret of a resource server, with that server."""

    digest: str
    secret_expires_at: datetime | None
    server_id: str
    identifier: str
    organization_id: str
    is_suspended: bool
    policy_version: str

    def is_live_at(self, now: datetime) -> bool:
        return self.secret_expires_at is None or self.secret_expires_at > now

    @property
    def service(self) -> ServiceFacts:
        return ServiceFacts._make(self[2:])


class CounterFacts(NamedTuple):
    """A stored counter (`limits.sliding_window`)."""

    key: str
    slot: int
    counts: bytes


class ApprovalFacts(NamedTuple):
    """A request that a user was asked about. `context` is the JSON of a standing one, otherwise an empty object.

    `evidence` is the JSON of a rule, otherwise None. `asked_scopes_json` is a JSON list. With `asked_by_rule`, which is
    "" for none, it says why the user was asked.
    """

    approval_id: str
    digest: str
    target_digest: str
    status: str
    is_standing: bool
    expires_at: datetime
    context: str
    asked_scopes_json: str
    asked_by_rule: str
    evidence: str | None

    def covers(self, scopes: Collection[str], rule_type: str) -> bool:
        """Return whether the user was shown all these reasons."""
        return set(scopes) <= set(_names(self.asked_scopes_json)) and (not rule_type or self.asked_by_rule != "")

    @property
    def units(self) -> int:
        """The largest amount that a standing approval covers, in units of 10**-8. 0 if it cannot be read."""
        return read_units(json.loads(self.context).get("amount"))

    @property
    def times_per_day(self) -> int | None:
        """How many requests a rule allows within 24 hours. None for other approvals, which are not counted."""
        return None if self.evidence is None else times_per_day(json.loads(self.evidence))


class ReservedFacts(NamedTuple):
    """A reservation that a request with an `Idempotency-Key` made, by the digest of the key and its place."""

    repeat_key: str
    repeat_place: int
    repeat_digest: str
    reservation_id: str
    status: str
    audit_id: str
    created_at: datetime
    expires_at: datetime


class ScopeFacts(NamedTuple):
    """A scope that an organization defines. `labels` is a JSON list."""

    scope_id: str
    labels_json: str
    risk_level: str
    organization_id: str | None

    @property
    def labels(self) -> tuple[str, ...]:
        return _names(self.labels_json)


class PolicyFacts(NamedTuple):
    """An organization's policy version with one of its enabled policies, or with its own scopes.

    `own_scopes` is a JSON list of what `resources.actions.OwnScope` has. It is in the organization's first row, which
    has no policy.
    """

    organization_id: str
    policy_version: str
    own_scopes: str | None
    policy_id: str | None
    name: str | None
    agent_id: str | None
    mode: str | None
    rules: str | None
    limit_history: str | None


def is_short(*rows: Sequence[object]) -> bool:
    """Return whether a process may remember these facts."""
    return sum([len(text) for facts in rows for text in facts if isinstance(text, str)]) <= MAX_REMEMBERED


@lru_cache(MAX_PARSED)
def _names(text: str) -> tuple[str, ...]:
    """Return the strings of a JSON list. Anything else is an empty list, which grants nothing."""
    found = json.loads(text)
    return tuple(name for name in found if isinstance(name, str)) if isinstance(found, list) else ()


@lru_cache(MAX_PARSED)
def _owners(text: str) -> Mapping[str, str]:
    found: Mapping[str, str] = json.loads(text)
    return found


@lru_cache(MAX_PARSED)
def _targets(terms: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(terms).get("targets", {})
    return found


@lru_cache(MAX_PARSED)
def _granted(scope: str, allowed: str | None, consented: str | None, removed: str) -> tuple[str, ...]:
    """Return the words of `scope` that every list allows. `allowed` and `consented` are None if they do not apply."""
    found = scope.split()
    if allowed is not None:
        found = [name for name in found if name in _names(allowed)]
    if consented is not None:
        found = [name for name in found if name in _names(consented) and name not in _names(removed)]
    return tuple(found)
