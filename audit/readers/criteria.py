"""Criteria of a search in the log, all of which must match."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit.entries.facets import NO_AGENT, OTHERS, Facets, declined, is_own, mark_of, owned
from audit.sequencing import postings
from audit.sequencing.postings import Indexed, term


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What an entry must have. None matches everything. `since` is inclusive, `until` exclusive.

    An entry matches `events` if its event is one of them, `reasons` if its reason is one of them, `agent_id` if that is
    `NO_AGENT` and it has none, `agent_ids` if its agent is one of them, `actor` if that is the kind or the id of its
    actor, `server_id` if that is its actor or the resource server that is concerned, `action` if that is its action or
    one of its scopes, and `rule` if that is its reason or the type of its rule. `decider` is who decided in place of a
    policy of the organization (`audit.entries.facets`), `step` a step of a request for consent, and `declined` a scope
    that the user left out. `chain` is an agent that acted itself or handed the work on, or a delegation by which an
    agent of the chain acted: it finds all that happened below the delegation.
    """

    agent_id: str | None = None
    agent_ids: Collection[str] | None = None
    user_id: str | None = None
    consent_id: str | None = None
    event: str | None = None
    events: Collection[str] | None = None
    outcome: str | None = None
    actor: str | None = None
    server_id: str | None = None
    action: str | None = None
    scope: str | None = None
    rule: str | None = None
    reason: str | None = None
    reasons: Collection[str] | None = None
    policy_id: str | None = None
    decider: str | None = None
    step: str | None = None
    declined: str | None = None
    chain: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria(Filters):
    """The filters of a search in the log of an organization, of a user, or in the whole log.

    A policy and a request for consent are found in the log of their own organization only. Raises `ValueError` for a
    request id that the caller chose (`audit.entries.facets.is_own`): there is no index of these. Entries of
    the events `hidden` are not in the log that is searched, so none is found, listed or a cursor. Counts do not read
    entries, so they include them.
    """

    organization_id: str | None = None
    hidden: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.request_id is not None and not is_own(self.request_id):
            raise ValueError("This request id cannot be searched for.")

    def matches(self, entry: Indexed) -> bool:
        return (
            self.is_tenant_of(entry)
            and self.user_id in (None, entry.user_id)
            and self.agent_id in (None, entry.agent_id or NO_AGENT)
            and (self.agent_ids is None or entry.agent_id in self.agent_ids)
            and self.consent_id in (None, entry.consent_id)
            and self.event in (None, entry.event)
            and (self.events is None or entry.event in self.events)
            and self.outcome in (None, entry.outcome)
            and (self.since is None or self.since <= entry.timestamp)
            and (self.until is None or entry.timestamp < self.until)
            and (not self.has_facets or self.matches_facets(entry.facets))
        )

    def matches_facets(self, facets: Facets) -> bool:
        """Return whether these facets of an entry match."""
        return (
            (self.actor is None or self.actor in facets.actors)
            and (self.server_id is None or self.server_id in facets.actors)
            and (self.action is None or self.action in facets.actions)
            and (self.scope is None or self.scope in facets.scopes)
            and {self.rule, self.reason} - {None} <= {*facets.rules}
            and (self.reasons is None or not {*self.reasons}.isdisjoint(facets.rules))
            and {*self._deciders()} <= {*facets.deciders}
            and {*self._steps()} <= {*facets.steps}
            and (self.chain is None or self.chain in facets.chain)
            and self.request_id in (None, facets.request_id)
        )

    @property
    def has_facets(self) -> bool:
        """Return whether the columns of `Entry` cannot tell what matches."""
        facets = (self.actor, self.server_id, self.action, self.scope, self.rule, self.reason, self.request_id)
        return any(
            (*facets, self.chain, self.policy_id, self.decider, self.step, self.declined, self.reasons is not None)
        )

    @property
    def mark(self) -> int | None:
        """The mark of the request id, or None if any will do."""
        return None if self.request_id is None else mark_of(self.request_id)

    def _deciders(self) -> list[str]:
        own = self.policy_id, self.decider if self.decider == OTHERS else None
        common = [self.decider] if self.decider and self.decider != OTHERS else []
        return [*self._owned(*own), *common]

    def _steps(self) -> list[str]:
        return self._owned(self.step, declined(self.declined) if self.declined else None)

    def _owned(self, *values: str | None) -> list[str]:
        return [owned(self.organization_id, value) for value in values if value is not None]

    def is_tenant_of(self, entry: Indexed) -> bool:
        """Return whether the entry is in the log that is searched: an organization's, a user's or the whole log."""
        if entry.event in self.hidden:
            return False
        if self.organization_id is not None:
            return self.organization_id in entry.organization_ids
        return self.user_id in (None, entry.user_id)

    def terms(self) -> list[int]:
        """Return the terms whose postings all contain the entries that match, those first that are usually rarer."""
        wanted = [
            (postings.CONSENT, self.consent_id),
            (postings.USER, self.user_id),
            (postings.AGENT, self.agent_id),
            *[(postings.STEP, one) for one in self._steps()[::-1]],
            *[(postings.POLICY, one) for one in self._deciders()],
            (postings.RULE, self.rule),
            (postings.RULE, self.reason),
            (postings.ACTION, self.scope),
            (postings.ACTION, self.action),
            (postings.ACTOR, self.server_id),
            (postings.ACTOR, self.actor),
            (postings.ORGANIZATION, self.organization_id),
            (postings.EVENT, self.event),
            (postings.OUTCOME, self.outcome),
        ]
        return [term(kind, value) for kind, value in wanted if value is not None]

    def alternatives(self) -> list[list[int]]:
        """Return groups of terms. An entry that matches has one of each group."""
        groups = [(postings.AGENT, self.agent_ids), (postings.EVENT, self.events), (postings.RULE, self.reasons)]
        found = [[term(kind, value) for value in values] for kind, values in groups if values]
        if self.chain is not None:
            found.append([term(postings.CHAIN, self.chain), term(postings.AGENT, self.chain)])
        return found

    def beyond(self, criteria: "Criteria") -> list[list[int]]:
        """Return the groups of terms that these criteria have and the others lack. An entry has one of each group."""
        known = [[one] for one in criteria.terms()] + criteria.alternatives()
        own = [[one] for one in self.terms()] + self.alternatives()
        return [group for group in own if group not in known]

    def columns(self) -> dict[str, Any]:
        """Return the conditions on the columns of `Entry`. They can match more than `matches`, which has facets too."""
        wanted: dict[str, Any] = {
            "organizations__contains": None if self.organization_id is None else f"{self.organization_id} ",
            "user_id": self.user_id,
            "agent_id": None if self.agent_id == NO_AGENT else self.agent_id,
            "agent_id__in": None if self.agent_ids is None else list(self.agent_ids),
            "agent_id__isnull": True if self.agent_id == NO_AGENT else None,
            "consent_id": self.consent_id,
            "event": self.event,
            "event__in": None if self.events is None else list(self.events),
            "outcome": self.outcome,
            "timestamp__gte": self.since,
            "timestamp__lt": self.until,
        }
        return {name: value for name, value in wanted.items() if value is not None}
