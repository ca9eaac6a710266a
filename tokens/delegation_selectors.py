"""Reads of delegations: what was handed on, whether it still holds, and what was used of its limits."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from django.db.models import QuerySet

from accounts.models import User
from consent.models import Consent
from core.errors import NotFound
from core.money import PLACES
from limits.counters import read_counters
from limits.sliding_window import CounterRequest
from policies.rules import find_rule
from policies.rules.ledger import CONNECTION_SCOPE, Ledger, delegation_ledger
from policies.rules.limiting import CountingRule
from tokens.chains import is_chain_live, read_handovers
from tokens.models import Delegation, TokenFamily


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


@dataclass(frozen=True, slots=True)
class State:
    """A delegation as it is now."""

    delegation: Delegation
    status: Status
    uses: Sequence[Use]

    @property
    def is_active(self) -> bool:
        return self.status is Status.ACTIVE


def delegations_of(consent: Consent) -> QuerySet[Delegation]:
    """Return all that was handed on under a connection, newest first."""
    return _with_agents(Delegation.objects.filter(consent=consent))


def delegation_for_user(user: User, delegation_id: str) -> Delegation:
    """Return what was handed on for the user. Raises `NotFound`, even if another user has it."""
    found = _with_agents(Delegation.objects.filter(user=user, pk=delegation_id)).first()
    if found is None:
        raise NotFound("No such delegation.")
    return found


def read_states(delegations: Iterable[Delegation], now: datetime) -> list[State]:
    """Return the delegations as they are now, in the same order."""
    rows = list(delegations)
    usable = _usable(rows, now)
    limits = {row.pk: list(_limits_of(row)) for row in rows}
    requests = [request for own in limits.values() for *_, request in own if request]
    counters = read_counters(requests) if requests else {}

    def use(scope: str, limit: Mapping[str, Any], request: CounterRequest | None) -> Use:
        used = counters[request.key].used(now) if request else None
        return Use(scope, limit, Decimal(used).scaleb(-PLACES) if request and request.is_amount and used else used)

    return [
        State(row, Status.ACTIVE if row.pk in usable else Status.ENDED, [use(*each) for each in limits[row.pk]])
        for row in rows
    ]


def _usable(rows: Sequence[Delegation], now: datetime) -> set[str]:
    """Return the ids of those by which an agent can act, or will be able to once it has redeemed its token."""
    chains = read_handovers({one for row in rows for one in row.path})
    families = TokenFamily.objects.filter(delegation__in=[row.pk for row in rows])
    redeemed = set(families.filter(revoked_at=None, expires_at__gt=now).values_list("delegation_id", flat=True))
    return {
        row.pk
        for row in rows
        if row.consent.status_at(now) == Consent.Status.APPROVED
        and (row.pk in redeemed if row.redeemed_at else row.token_expires_at > now)
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
    return rows.select_related("consent", "from_agent__organization", "to_agent__organization").order_by("-id")
