"""Reads of delegations: what was handed on, whether it still holds, and what was used of its limits."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import User
from agents.models import Agent
from consent.models import Consent
from core import clock
from core.errors import NotFound
from core.money import PLACES
from limits.counters import read_counters
from limits.sliding_window import CounterRequest
from policies.rules import find_rule
from policies.rules.ledger import CONNECTION_SCOPE, Ledger, delegation_ledger
from policies.rules.limiting import CountingRule
from tokens.chains import READ, is_chain_live, read_handovers
from tokens.delegations import live_delegations
from tokens.models import Delegation, TokenFamily

ABSENT = "No such delegation."


class Status(StrEnum):
    """Whether a delegation still holds. It has ended, too, if anything above it has."""

    ACTIVE = "active"
    ENDED = "ended"


class Use(NamedTuple):
    """A limit of a delegation, as stored, and what is used of it now: requests, or an amount in its currency.

    That includes what was handed on. `used` is None if the limit counts nothing.
    """

    scope: str
    limit: Mapping[str, Any]
    used: int | Decimal | None

    @property
    def amount(self) -> dict[str, str] | None:
        """The used amount with its currency, or None if the limit counts no amount."""
        if not isinstance(self.used, Decimal):
            return None
        return {"value": f"{self.used.normalize():f}", "currency": self.limit["config"]["currency"]}


@dataclass(frozen=True, slots=True)
class State:
    """A delegation as it is now."""

    delegation: Delegation
    status: Status
    uses: Sequence[Use]

    @property
    def is_active(self) -> bool:
        return self.status is Status.ACTIVE

    def uses_for(self, *, is_giver: bool) -> list[Use]:
        """Return the limits that an organization sees: all if its agent handed the work over, else those that count.

        The others can be personal.
        """
        return [use for use in self.uses if is_giver or use.used is not None]


def delegations_of(consent: Consent) -> QuerySet[Delegation]:
    """Return all that was handed on under a connection, newest first."""
    return _with_agents(Delegation.objects.filter(consent=consent))


def delegations_for_user(user: User) -> QuerySet[Delegation]:
    """Return all that was handed on for the user, newest first."""
    return _with_agents(Delegation.objects.filter(user=user))


def find_own_delegation(user: User, delegation_id: str) -> Delegation | None:
    """Return what was handed on for the user, or None, even if another user has it."""
    return delegations_for_user(user).filter(pk=delegation_id).first()


def delegation_for_user(user: User, delegation_id: str) -> Delegation:
    """Return what was handed on for the user. Raises `NotFound`, even if another user has it."""
    found = find_own_delegation(user, delegation_id)
    if found is None:
        raise NotFound(ABSENT)
    return found


def delegations_of_organization(
    organization_id: str, *, is_given: bool | None = None, agent_ids: Collection[str] | None = None
) -> QuerySet[Delegation]:
    """Return what agents of the organization handed on, or what was handed to them, or by default both, newest first.

    With `agent_ids`, only those of these agents.
    """
    sides = {True: ["from_agent"], False: ["to_agent"], None: ["from_agent", "to_agent"]}[is_given]
    agents = Agent.objects.filter(organization=organization_id)
    own = agents if agent_ids is None else agents.filter(pk__in=agent_ids)
    # By id, because these have an index: with a join, the database would read the delegations of all organizations.
    # Only of agents that took part in one: with those that it has deleted, an organization can have any number.
    took_part = [Exists(Delegation.objects.filter(**{side: OuterRef("pk")})) for side in sides]
    ids = list(own.filter(reduce(or_, took_part)).values_list("pk", flat=True))
    found = Q()
    for side in sides:
        found |= Q(**{f"{side}__in": ids})
    return _with_agents(Delegation.objects.filter(found))


def delegation_below(delegation_id: str, **giver: Any) -> Delegation:
    """Return a delegation that such an agent handed over, or one above it in the chain. Raises `NotFound`."""
    found = _with_agents(Delegation.objects.filter(pk=delegation_id)).first()
    if found is None or not Delegation.objects.filter(pk__in=found.path, **giver).exists():
        raise NotFound(ABSENT)
    return found


def delegation_for_organization(organization_id: str, delegation_id: str) -> Delegation:
    """Return what was handed to an agent of the organization, or below what one handed over. Raises `NotFound`."""
    received = Delegation.objects.filter(pk=delegation_id, to_agent__organization=organization_id)
    found = _with_agents(received).first()
    return found or delegation_below(delegation_id, from_agent__organization=organization_id)


def is_below(delegation: Delegation, organization_id: str) -> bool:
    """Return whether an agent of the organization handed it over, or one above it in the chain."""
    return Delegation.objects.filter(pk__in=delegation.path, from_agent__organization=organization_id).exists()


def count_below(delegation: Delegation, now: datetime) -> int:
    """Return the number of live delegations that end with this one. A path has at most four."""
    below = Q(parent=delegation.pk) | Q(parent__parent=delegation.pk) | Q(parent__parent__parent=delegation.pk)
    count: int = live_delegations(now).filter(below).count()
    return count


class Branch(NamedTuple):
    """A live delegation in the tree of its connection."""

    id: str
    parent_id: str | None
    to_agent_id: str


def branches_of(consent: Consent, now: datetime) -> list[Branch]:
    """Return all live delegations of a connection: those near its agent first, and of these the newest."""
    if consent.delegation == Consent.Delegation.NONE:
        return []
    rows = live_delegations(now).filter(consent=consent).values_list("id", "parent_id", "to_agent_id")
    return levels_below(None, [Branch(*row) for row in rows])


def levels_below(delegation_id: str | None, branches: Iterable[Branch]) -> list[Branch]:
    """Return those of the branches that are below the delegation, or all with None, in the same order."""
    children: dict[str | None, list[Branch]] = {}
    for branch in sorted(branches, reverse=True):
        children.setdefault(branch.parent_id, []).append(branch)
    level, found = children.get(delegation_id, []), []
    while level:
        found += level
        level = [child for branch in level for child in children.get(branch.id, ())]
    return found


def read_states(delegations: Iterable[Delegation], now: datetime) -> list[State]:
    """Return the delegations, which a selector of this module has read, as they are now, in the same order."""
    rows = list(delegations)
    usable = _usable(rows, now)
    limits = {row.pk: list(_limits_of(row)) for row in rows}
    requests = [request for own in limits.values() for *_, request in own if request]
    counters = read_counters(requests) if requests else {}

    def use(scope: str, limit: Mapping[str, Any], request: CounterRequest | None) -> Use:
        used = counters[request.key].used(now) if request else None
        is_amount = request is not None and request.is_amount
        return Use(scope, limit, Decimal(used or 0).scaleb(-PLACES) if is_amount else used)

    return [
        State(row, Status.ACTIVE if row.pk in usable else Status.ENDED, [use(*each) for each in limits[row.pk]])
        for row in rows
    ]


def _usable(rows: Sequence[Delegation], now: datetime) -> set[str]:
    """Return the ids of those by which an agent can act, or will be able to once it has redeemed its token."""
    chains = read_handovers({one for row in rows for one in row.path}, rows)
    return {
        row.pk
        for row in rows
        if row.consent.status_at(now) == Consent.Status.APPROVED
        and (row.has_tokens if row.redeemed_at else row.token_expires_at > now)  # type: ignore[attr-defined]
        and is_chain_live(row.path, [chains[one] for one in row.path if one in chains], now)
    }


def _limits_of(row: Delegation) -> Iterator[tuple[str, Mapping[str, Any], CounterRequest | None]]:
    """Yield each limit with its scope and its counter, or None if it counts nothing."""
    for scope in row.scopes:
        ledger = delegation_ledger(row.pk, scope)
        limits = row.limits.get(scope, ())
        yield from ((scope, limit, _counter_of(limit, ledger, row.user_id)) for limit in limits)


def _counter_of(limit: Mapping[str, Any], ledger: Ledger, user_id: str) -> CounterRequest | None:
    rule = find_rule(limit)
    if not isinstance(rule, CountingRule):
        return None
    kind = rule.kind._replace(scope=CONNECTION_SCOPE)
    # Only the key and the window matter to what is used.
    return CounterRequest(ledger.key(kind, user_id), 1, kind.window_seconds, is_amount=bool(kind.currency))


def _with_agents(rows: QuerySet[Delegation]) -> QuerySet[Delegation]:
    """Return the rows with all that `read_states` needs of them, newest first."""
    tokens = TokenFamily.objects.filter(delegation=OuterRef("pk"), revoked_at=None, expires_at__gt=clock.now())
    return rows.select_related(*READ).annotate(has_tokens=Exists(tokens)).order_by("-id")
