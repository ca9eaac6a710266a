"""Reservations: amounts that count until they are committed, voided or lapse."""

from collections.abc import Collection, Mapping
from datetime import timedelta

from limits.models import Reservation

MAX_HOLD = timedelta(hours=1)

Hold = tuple[str, int]
"""A counter in which an amount is held: its key, and its window in seconds."""


def extend_holds(moved: Mapping[str, Collection[Hold]]) -> None:
    """Hold in other counters, too, what is held in the counters with these keys, because they start from them.

    Danger: call it after `hold_decisions`, which keeps reservations from being made or resolved.
    """
    if not moved:
        return
    held = Reservation.objects.filter(status=Reservation.Status.HELD)
    for reservation_id, holds in held.values_list("id", "holds").iterator():
        known = {(key, window) for key, window in holds}
        added = {hold for key, _ in known for hold in moved.get(key, ())} - known
        if added:
            held.filter(id=reservation_id).update(holds=[*holds, *map(list, sorted(added))])
