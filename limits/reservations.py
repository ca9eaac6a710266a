"""Reservations: amounts that count until they are committed, voided or lapse (docs/adr/0033).

`decisions` makes them. Danger: lock in the order of decisions, or the two can deadlock: revocations, the counters in
the order of their keys, then the reservation. Nothing here waits for a counter while it holds a reservation.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_noop

from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import append
from core import clock, secrets
from core.actor import SYSTEM, Actor
from core.errors import Conflict, Gone, Invalid, NotFound
from core.locks import Busy, after_decisions, hold_revocations, writing
from core.money import Amount, units_of
from core.sweeps import BATCH, delete_batch, lock_batch
from limits.counters import frozen_keys, lock_counters, save_counters
from limits.models import Reservation
from limits.sliding_window import CounterRequest, LoadedCounter

DEFAULT_SECONDS = 600
MAX_SECONDS = 3600
MAX_HOLD = timedelta(seconds=MAX_SECONDS)
# Separates these digests from others of the same id (`name_in_log`).
LOG_NAME = "reservation-in-log"
# How long a resolved reservation answers the same request again.
KEPT = timedelta(days=7)

Status = Reservation.Status

Hold = tuple[str, int]
"""A counter in which an amount is held: its key, and its window in seconds."""


class ReservationResolved(Conflict):
    code = "reservation_resolved"
    title = gettext_noop("This reservation was already resolved in another way")
    remedy = "Nothing needs to be done: what was committed or voided first counts."


class ReservationExpired(Gone):
    code = "reservation_expired"
    title = gettext_noop("This reservation has lapsed")
    remedy = "Verify again before you act. If you have acted already, verify the final amount without reserve."


def name_in_log(reservation_id: str, server_id: str | None) -> str:
    """Return how the log names a reservation: by its id or, without a resource server, by a digest of it.

    The id of an anonymous caller's reservation is its only credential, so readers of the log must not get it.
    """
    if server_id is not None:
        return reservation_id
    prefix = reservation_id.partition("_")[0]
    return f"{prefix}_{secrets.digest(f'{LOG_NAME}:{reservation_id}')[:32]}"


class _Held(NamedTuple):
    """A reservation that is locked with its counters, at a time before it lapses."""

    reservation: Reservation
    counters: Collection[LoadedCounter]
    now: datetime


def commit_reservation(
    *, actor: Actor, reservation_id: str, final_amount: Amount | None, server_id: str | None
) -> Reservation:
    """Count the final amount, which is by default the reserved one, instead of what is held.

    Repeating the commit returns the same result. Raises `NotFound` for another server's reservation, `Invalid`,
    `ReservationResolved` for another amount or after a void, and `ReservationExpired`.
    """
    with _locked(reservation_id, server_id) as held:
        if not isinstance(held, _Held):
            return _require_same(held, Status.COMMITTED, final_amount)
        value = _final_value(held.reservation, final_amount)
        _take(held, units_of(value))
        amount = {"currency": held.reservation.currency, "value": value}
        return _resolve(held, Status.COMMITTED, actor, final_amount=value, personal={"amount": amount})


def void_reservation(*, actor: Actor, reservation_id: str, server_id: str | None) -> Reservation:
    """Release what is held. Repeating the void returns the same result.

    Raises `NotFound` for another server's reservation, `ReservationResolved` after a commit, and `ReservationExpired`.
    """
    with _locked(reservation_id, server_id) as held:
        if not isinstance(held, _Held):
            return _require_same(held, Status.VOIDED, None)
        return _resolve(held, Status.VOIDED, actor)


def lapse_reservations(now: datetime, limit: int = BATCH) -> int:
    """Mark up to `limit` reservations that have lapsed, and return how many. Their counters no longer hold them."""
    late = Reservation.objects.filter(status=Status.HELD, expires_at__lte=now).order_by("expires_at")
    with writing(), transaction.atomic():
        ids = lock_batch(late, limit)
        lapsed = list(Reservation.objects.filter(pk__in=ids).order_by("expires_at"))
        Reservation.objects.filter(pk__in=ids).update(status=Status.LAPSED, resolved_at=now)
        append([_draft(Event.RESERVATION_LAPSED, SYSTEM, each) for each in lapsed], at=now)
    return len(ids)


def delete_old_reservations(now: datetime, limit: int = BATCH) -> int:
    """Delete up to `limit` reservations that were resolved long ago, and return how many."""
    old = Reservation.objects.filter(resolved_at__lte=now - KEPT).order_by("resolved_at")
    return delete_batch(old, limit=limit)


def erase_reservations(user_id: str) -> None:
    """Delete a user's reservations that are resolved, and remove the user from the others. Call it in a revocation.

    Those that are held can still be committed, because the service may have acted. Decisions in progress may make some
    more, so they are changed once these have ended.
    """
    Reservation.objects.filter(user_id=user_id).exclude(status=Status.HELD).delete()
    after_decisions(partial(_forget_user, user_id))


def find_holds(reservations: QuerySet[Reservation]) -> dict[str, set[str]]:
    """Return the ids of the reservations that are held, by the key of each counter that holds them."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for reservation_id, holds in reservations.filter(status=Status.HELD).values_list("id", "holds").iterator():
        for key, _ in holds:
            found[key].add(reservation_id)
    return found


def move_holds(moved: Mapping[str, Collection[Hold]], held: Mapping[str, Collection[str]]) -> None:
    """Let reservations be held in other counters instead of those with these keys, which are locked and moved there.

    `held` has the ids of the reservations by key.
    """
    ids = {each for key in moved for each in held.get(key, ())}
    for reservation in Reservation.objects.select_for_update(of=("self",)).filter(id__in=ids, status=Status.HELD):
        holds = [tuple(hold) for hold in reservation.holds]
        there = [target for hold in holds for target in (sorted(moved[hold[0]]) if hold[0] in moved else [hold])]
        reservation.holds = list(map(list, dict.fromkeys(there)))
        reservation.save(update_fields=["holds"])


def _take(held: _Held, number: int) -> None:
    frozen = frozen_keys(counter.key for counter in held.counters)
    for counter in held.counters:
        take = counter.take_late if counter.key in frozen else counter.take
        take(number, held.now)


def _forget_user(user_id: str) -> None:
    Reservation.objects.filter(user_id=user_id).update(user_id=None, consent_id=None)


@contextmanager
def _locked(reservation_id: str, server_id: str | None) -> Iterator[_Held | Reservation]:
    """Open a transaction, and yield the reservation with its counters or, if it was resolved before, without.

    What is held is released. Raises `NotFound` and `ReservationExpired`.
    """
    with writing(), transaction.atomic():
        hold_revocations()
        found = _find(reservation_id, server_id)
        if found.status != Status.HELD or found.expires_at <= clock.now():
            yield _require_resolved(found)
            return
        counters = lock_counters(CounterRequest(key, 1, window) for key, window in found.holds)
        reservation = Reservation.objects.select_for_update(of=("self",)).get(pk=found.pk)
        now = clock.now()
        if reservation.status != Status.HELD or reservation.expires_at <= now:
            yield _require_resolved(reservation)
            return
        if reservation.holds != found.holds:  # moved in the meantime
            raise Busy
        _release(reservation, counters.values())
        yield _Held(reservation, counters.values(), now)
        save_counters(counters.values())


def _find(reservation_id: str, server_id: str | None) -> Reservation:
    """Return the reservation. One of an anonymous caller belongs to those who know its id."""
    found = Reservation.objects.filter(pk=reservation_id).first()
    if found is None or found.server_id not in (None, server_id):
        raise NotFound("No such reservation.")
    return found


def _require_resolved(reservation: Reservation) -> Reservation:
    """Return a reservation that was committed or voided. Raises `ReservationExpired` for any other."""
    if reservation.status in (Status.COMMITTED, Status.VOIDED):
        return reservation
    raise ReservationExpired("The amount is no longer held.")


def _require_same(reservation: Reservation, status: str, final_amount: Amount | None) -> Reservation:
    """Return a reservation that was resolved like this. Raises `ReservationResolved` if it was not."""
    if reservation.status != status:
        raise ReservationResolved(f"The reservation was {Status(reservation.status).label.lower()}.")
    if status == Status.COMMITTED:
        value = _final_value(reservation, final_amount)
        if units_of(value) != units_of(reservation.final_amount):
            raise ReservationResolved("The reservation was committed with another amount.")
    return reservation


def _final_value(reservation: Reservation, final_amount: Amount | None) -> str:
    """Return the value to count. Raises `Invalid` for one above what is reserved, or in another currency."""
    if final_amount is None:
        return reservation.amount
    if final_amount.currency != reservation.currency:
        raise Invalid.field("amount.currency", f"Must be {reservation.currency}, as reserved.")
    if final_amount.units > units_of(reservation.amount):
        raise Invalid.field("amount.value", f"Must be at most {reservation.amount}, which is reserved.")
    return final_amount.value


def _release(reservation: Reservation, counters: Collection[LoadedCounter]) -> None:
    """Raises `ReservationExpired` if a clock that is ahead of ours has found in a counter that it has lapsed."""
    number = units_of(reservation.amount)
    for counter in counters:
        if not counter.release(number, reservation.expires_at):
            raise ReservationExpired("The amount is no longer held.")


def _resolve(
    held: _Held, status: str, actor: Actor, *, final_amount: str = "", personal: Mapping[str, object] | None = None
) -> Reservation:
    reservation = held.reservation
    reservation.status, reservation.final_amount, reservation.resolved_at = status, final_amount, held.now
    reservation.save(update_fields=["status", "final_amount", "resolved_at"])
    event = Event.RESERVATION_COMMITTED if status == Status.COMMITTED else Event.RESERVATION_VOIDED
    append([_draft(event, actor, reservation)._replace(personal=personal or {})], at=held.now)
    return reservation


def _draft(event: Event, actor: Actor, reservation: Reservation) -> Draft:
    """Return the entry, which belongs to the streams of the verify that made the reservation."""
    service = reservation.service_organization_id
    return Draft(
        event=event,
        actor=actor,
        organization_id=reservation.organization_id,
        service_organization_ids=(service,) if service else (),
        user_id=reservation.user_id,
        agent_id=reservation.agent_id,
        consent_id=reservation.consent_id,
        metadata={
            "reservationId": name_in_log(reservation.id, reservation.server_id),
            "auditId": reservation.audit_id,
        },
    )
