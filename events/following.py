"""Follow the log: note where the numbers of streams are, and queue events for webhooks.

One worker at a time reads each entry once, in the order of the log. It notes how far it has come in the transaction
that queues, on condition that it is still where the stretch began, so a crash at any point queues nothing twice and
leaves nothing out. Records are not parsed: 2,000 decisions per second pass through here.

A webhook is in step, so that the follower queues for it, until it has `MAX_OUTSTANDING` deliveries. Then its cursor
stays, and `catch_up` reads its organization's stream from there.

Lock the follower's row before webhooks, and webhooks before their deliveries.
"""

import logging
import os
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import batched, islice
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Count, Q

from audit.entries.records import decode_opening
from audit.models import Entry
from audit.proof.members import ORGANIZATION, Stream, read_rows, read_values
from audit.readers.finding import sizes
from audit.sequencing.postings import SEGMENT
from core import clock
from core.locks import writing
from events.models import Delivery, Follower, Milestone, Webhook
from events.types import ONLY_ASKED_FOR, is_wanted

logger = logging.getLogger(__name__)

MAX_OUTSTANDING = 100
# A worker that follows says so this often at least, so that another one takes over when it has died.
HOLD = timedelta(seconds=10)
# All other writers on SQLite wait while a stretch is queued.
ENTRIES_PER_STRETCH = {"postgresql": 4096, "sqlite": 1024}
# How many entries of its organization are examined at once for a webhook that is behind.
ENTRIES_PER_CATCH_UP = 2000
IDS_PER_QUERY = 500
COLUMNS = ("leaf_index", "id", "event", "agent_id", "user_id", "organizations", "opening")
THE_ROW = 1


class Row(NamedTuple):
    """What is read of an entry."""

    leaf_index: int
    id: str
    event: str
    agent_id: str | None
    user_id: str | None
    organizations: str
    opening: bytes

    @property
    def organization_ids(self) -> list[str]:
        return self.organizations.split()

    def number_in(self, organization_id: str) -> int | None:
        """Return its number in the stream of one of its organizations, or None if it was damaged."""
        try:
            numbers = decode_opening(self.opening)[1].plain
            return numbers[self.organization_ids.index(organization_id)]
        except (ValueError, IndexError):
            # `./dev manage audit_verify` says how. The other entries are events.
            logger.critical("The entry with index %s cannot be read, so it is no event.", self.leaf_index)
            return None


def holder() -> str:
    """Return the name under which this process holds what others must leave alone."""
    return _name_of(os.getpid())


def follow_once() -> int:
    """Route up to a stretch more of the log. Return how many entries: 0 if there are none, or another worker follows.

    Raises `MissingEntry` and `ArchiveUnavailable` if an entry cannot be read now.
    """
    first = _hold()
    end = min(first + ENTRIES_PER_STRETCH[connection.vendor], sizes()[0]) if first is not None else 0
    if first is None or end <= first:
        return 0
    rows = _read(range(first, end))
    milestones = _milestones(rows)
    with writing(), transaction.atomic():
        now = clock.now()
        ours = Follower.objects.filter(pk=THE_ROW, next_index=first, holder=holder())
        if not ours.update(next_index=end, held_until=now + HOLD):
            return 0
        Milestone.objects.bulk_create(
            milestones,
            update_conflicts=True,
            update_fields=["number"],
            unique_fields=["organization_id", "segment"],
        )
        _queue_for_all(rows, first, end, now)
    return len(rows)


def catch_up(webhook: Webhook) -> None:
    """Queue more for a webhook that is behind, up to `MAX_OUTSTANDING` deliveries.

    Changes nothing if it is in step, or if something else has moved its cursor meanwhile. Raises like `follow_once`.
    """
    low = webhook.cursor_index
    room = MAX_OUTSTANDING - outstanding([webhook.pk])[webhook.pk]
    high = _next_index()
    if low is None or low >= high or room <= 0:
        return
    rows, reached = _rows_of(webhook.organization_id, low, high)
    wanted = [row for row in rows if _is_for(webhook, row)]
    with writing(), transaction.atomic():
        # Once it has reached the follower, it is in step, unless the follower goes on meanwhile.
        next_index = _next_index(lock=True) if reached == high else high
        held = Webhook.objects.select_for_update().filter(pk=webhook.pk, cursor_index=low, is_enabled=True).first()
        if held is not None:
            _queue(held, wanted, room, end=reached, next_index=next_index, now=clock.now())


def start_of_now() -> int:
    """Return the index from which a webhook gets what happens from now on."""
    return sizes()[0]


def outstanding(webhook_ids: Iterable[str]) -> Mapping[str, int]:
    """Return how many outstanding deliveries each of the webhooks has."""
    rows = Delivery.objects.filter(webhook__in=list(webhook_ids)).exclude(due_at=None).order_by()
    return defaultdict(int, rows.values_list("webhook").annotate(number=Count("pk")))


def _hold() -> int | None:
    """Return the index from which this process follows, or None if another one does."""
    now, me = clock.now(), holder()
    row, _ = Follower.objects.get_or_create(pk=THE_ROW)
    left = row.held_until - now if row.held_until else timedelta()
    # A hold from before the clock was set back would last for too long.
    is_held = timedelta() < left <= 2 * HOLD
    if is_held and row.holder != me:
        return None
    if is_held and left > HOLD / 2:
        return int(row.next_index)
    free = Q(holder=me) | Q(held_until=None) | Q(held_until__lte=now) | Q(held_until__gt=now + 2 * HOLD)
    with writing():
        taken = Follower.objects.filter(free, pk=THE_ROW).update(holder=me, held_until=now + HOLD)
    return _next_index() if taken else None


def _next_index(*, lock: bool = False) -> int:
    rows = Follower.objects.select_for_update() if lock else Follower.objects
    return rows.filter(pk=THE_ROW).values_list("next_index", flat=True).first() or 0


def _read(indexes: Sequence[int]) -> list[Row]:
    stored = Entry.objects.filter(leaf_index__gte=indexes[0], leaf_index__lte=indexes[-1]).order_by("leaf_index")
    return [Row(*row) for row in read_values(indexes, stored, COLUMNS)]


def _rows_of(organization_id: str, low: int, high: int) -> tuple[list[Row], int]:
    """Return the next entries of an organization with an index from `low` to below `high`, and where to go on."""
    found = Stream(ORGANIZATION, organization_id).indexes(low, high - 1)
    indexes = list(islice(found, ENTRIES_PER_CATCH_UP))
    rows = [
        Row(*row)
        for some in batched(indexes, IDS_PER_QUERY)
        for row in read_values(some, Entry.objects.filter(leaf_index__in=some), COLUMNS)
    ]
    reached = high if len(indexes) < ENTRIES_PER_CATCH_UP else indexes[-1] + 1
    return [row for row in rows if organization_id in row.organization_ids], reached


def _milestones(rows: Sequence[Row]) -> list[Milestone]:
    """Return the last number of each organization in each segment, in the order in which all workers write them."""
    last: dict[tuple[str, int], int] = {}
    for row in reversed(rows):
        for one in row.organization_ids:
            place = (one, row.leaf_index // SEGMENT)
            if place not in last and (number := row.number_in(one)) is not None:
                last[place] = number
    return [Milestone(organization_id=one, segment=segment, number=last[one, segment]) for one, segment in sorted(last)]


def _queue_for_all(rows: Sequence[Row], first: int, end: int, now: datetime) -> None:
    """Queue for the webhooks that are in step, or that come into step with these entries."""
    arriving = set(Webhook.objects.filter(cursor_index__gte=first, cursor_index__lte=end).values_list("pk", flat=True))
    of_organizations: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        for one in row.organization_ids:
            of_organizations[one].append(row)
    in_step = Webhook.objects.filter(Q(cursor_index=None) | Q(cursor_index__gte=first), is_enabled=True)
    ids: list[str] = []
    for organizations in batched(of_organizations, IDS_PER_QUERY):
        ids += in_step.filter(organization__in=organizations).values_list("pk", flat=True)
    for some in batched(sorted(ids), IDS_PER_QUERY):  # locked in the order in which workers lock them
        matched = [
            (webhook, wanted)
            for webhook in in_step.filter(pk__in=some).select_for_update().order_by("pk")
            if (wanted := [row for row in of_organizations[webhook.organization_id] if _is_for(webhook, row)])
        ]
        already = outstanding(webhook.pk for webhook, _ in matched) if matched else {}
        for webhook, wanted in matched:
            _queue(webhook, wanted, MAX_OUTSTANDING - already[webhook.pk], end=end, next_index=end, now=now)
        arriving -= {webhook.pk for webhook, _ in matched}
    if arriving:
        Webhook.objects.filter(pk__in=arriving).update(cursor_index=None)


def _is_for(webhook: Webhook, row: Row) -> bool:
    if webhook.cursor_index is not None and row.leaf_index < webhook.cursor_index:
        return False
    if row.event == ONLY_ASKED_FOR:
        return bool(read_rows([row.leaf_index])[0].content["metadata"].get("webhookId") == webhook.pk)
    is_about = webhook.agent_ids is None or row.agent_id in webhook.agent_ids
    return is_about and is_wanted(webhook.types, row.event)


def _queue(webhook: Webhook, wanted: Sequence[Row], room: int, *, end: int, next_index: int, now: datetime) -> None:
    """Queue the first `room` entries for a locked webhook, and move its cursor behind them or, if all fit, to `end`.

    A delivery that is there already, because it is sent again, becomes outstanding again.
    """
    queued, left = wanted[: max(room, 0)], wanted[max(room, 0) :]
    deliveries = [one for row in queued if (one := _delivery(webhook, row, now)) is not None]
    Delivery.objects.bulk_create(
        deliveries,
        update_conflicts=True,
        update_fields=["status", "attempt", "due_at", "first_tried_at", "created_at"],
        unique_fields=["webhook", "leaf_index"],
    )
    reached = left[0].leaf_index if left else end
    webhook.cursor_index = None if reached >= next_index else reached
    if deliveries:
        webhook.cursor_number = deliveries[-1].number
    if deliveries or webhook.cursor_index is not None:
        webhook.due_at = min(webhook.due_at or now, now)
    webhook.save(update_fields=["cursor_index", "cursor_number", "due_at"])


def _delivery(webhook: Webhook, row: Row, now: datetime) -> Delivery | None:
    number = row.number_in(webhook.organization_id)
    if number is None:
        return None
    return Delivery(
        webhook=webhook,
        entry_id=row.id,
        leaf_index=row.leaf_index,
        number=number,
        type=row.event,
        user_id=row.user_id,
        due_at=now,
        created_at=now,
    )


@cache
def _name_of(process: int) -> str:
    return uuid.uuid4().hex
