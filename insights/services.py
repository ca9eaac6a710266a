"""Writes of the roll-ups: counting the log, exactly once, and again from the beginning.

An edition counts a stretch of the log and notes how far it has come in one transaction, on condition that it is still
where the stretch begins. So a crash at any point counts nothing twice and leaves nothing out, and of two processes that
count the same stretch, one does it in vain. Decisions do not wait for any of this: the stretch is read and counted
before the transaction, which changes only the tables of this app.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Max, QuerySet

from audit.readers.in_order import InOrder, Stretch
from audit.selectors import entries_in_order
from core import clock
from core.locks import writing
from core.sweeps import BATCH, REST
from insights.bounds import bounded
from insights.counting import EVENTS, Key, keys_of
from insights.models import Edition, RollUp, Unit

logger = logging.getLogger(__name__)

COLUMNS = {"edition": "int", **dict.fromkeys(Key._fields, "text"), "start": "timestamptz", "number": "bigint"}
# Pages show hours for up to two weeks, and need those of the day 30 days ago. Most rows are of hours.
HOURS_LIFETIME = timedelta(days=35)
# Pages show 90 days, beside the 90 days before.
DAYS_LIFETIME = timedelta(days=200)
# All other writers on SQLite wait for a transaction. This many rows take some milliseconds.
KEYS_PER_TRANSACTION = {"postgresql": 20_000, "sqlite": 500}


class Part(NamedTuple):
    """What one transaction adds: the counts of the entries up to the index `end`, exclusive.

    `last_at` is the time of the last one.
    """

    end: int
    last_at: datetime | None
    counts: Counter[Key]


def count_log(*, limit: int = BATCH) -> int:
    """Count up to `limit` more entries of the log in the edition in use. Return how many.

    Raises `MissingEntry`, `ArchiveUnavailable` and `Busy`.
    """
    return _advance(_used_edition(), limit)


def rebuild(report: Callable[[int], object] = lambda counted: None) -> int:
    """Count the whole log again, and use that edition from then on. Return the number of its entries.

    Readers see the edition before until then. `report` gets the number of entries after each step. If this is
    interrupted, the next call goes on where it has stopped. Raises the errors of `count_log`.
    """
    _used_edition()
    edition = _unfinished_edition()
    is_used = False
    while not is_used:
        while _advance(edition, BATCH):
            report(edition.counted)
        is_used = _use(edition)
    while delete_former_editions():
        pass
    return edition.counted


def delete_old_hours(*, limit: int = BATCH) -> int:
    """Delete up to `limit` rows of hours that no page shows any more, and return how many."""
    return _delete_older(Unit.HOUR, HOURS_LIFETIME, limit)


def delete_old_days(*, limit: int = BATCH) -> int:
    """Delete up to `limit` rows of days that no page shows any more, and return how many."""
    return _delete_older(Unit.DAY, DAYS_LIFETIME, limit)


def delete_former_editions(*, limit: int = BATCH) -> int:
    """Delete up to `limit` rows of editions that are no longer used, and return how many."""
    former = RollUp.objects.filter(edition__lt=_used_edition().pk)
    return _delete(former.order_by("edition"), limit)


def _delete_older(unit: Unit, lifetime: timedelta, limit: int) -> int:
    return _delete(RollUp.objects.filter(unit=unit, start__lt=clock.now() - lifetime).order_by("start"), limit)


def _delete(rows: QuerySet[Any], limit: int) -> int:
    """Delete the first `limit` unlocked rows and return how many.

    `core.sweeps.delete_batch` lists the keys: with 1,000 keys of seven columns, PostgreSQL takes 50 times as long.
    """
    free = rows.select_for_update(skip_locked=True).values("pk")[:limit]
    with writing(), transaction.atomic():
        deleted, _ = rows.model._default_manager.filter(pk__in=free).delete()
    return int(deleted)


def _used_edition() -> Edition:
    """Return the edition in use. The first one begins with the first use."""
    found = Edition.objects.filter(is_used=True).first()
    return found or Edition.objects.get_or_create(id=1, defaults={"is_used": True})[0]


def _unfinished_edition() -> Edition:
    """Return the edition that is being made. Begin one if there is none."""
    newest = Edition.objects.aggregate(newest=Max("id"))["newest"]
    found = Edition.objects.filter(is_used=False).order_by("-id").first()
    return found or Edition.objects.get_or_create(id=newest + 1)[0]


def _advance(edition: Edition, limit: int) -> int:
    """Count up to `limit` more entries in the edition. Return how many, fewer if another process counts them, too."""
    edition.counted = Edition.objects.filter(pk=edition.pk).values_list("counted", flat=True).first() or 0
    stretch, first = entries_in_order(edition.counted, limit, EVENTS), edition.counted
    for part in _parts(stretch) if stretch.end > first else ():
        began_at = time.monotonic()
        if not _save(edition, part):
            break
        edition.counted = part.end
        if part.end < stretch.end:
            time.sleep(REST[connection.vendor] * (time.monotonic() - began_at))
    return edition.counted - first


def _parts(stretch: Stretch) -> Iterator[Part]:
    """Yield the counts of a stretch in parts, each for one transaction."""
    counts: Counter[Key] = Counter()
    last_at, most = None, KEYS_PER_TRANSACTION[connection.vendor]
    for entry in stretch.entries:
        keys = _keys_of(entry)
        if counts and len(counts) + len(keys) > most:
            yield Part(entry.leaf_index, last_at, counts)
            counts = Counter()
        counts.update(keys)
        last_at = entry.at
    yield Part(stretch.end, stretch.last_at, counts)


def _keys_of(entry: InOrder) -> list[Key]:
    try:
        return list(keys_of(entry))
    except (ValueError, LookupError, TypeError, AttributeError):
        # It was damaged. `./dev manage audit_verify` says how, and the other entries count.
        logger.critical("The entry with index %s cannot be read, so it is not counted.", entry.leaf_index)
        return []


def _save(edition: Edition, part: Part) -> bool:
    """Add the counts of a part, unless another process has added them. Return whether they were added."""
    expected = Edition.objects.filter(pk=edition.pk, counted=edition.counted)
    counts = bounded(edition.pk, part.counts)
    with writing(), transaction.atomic():
        # This row is locked first, so processes with the same part take turns here.
        if not expected.update(counted=part.end, last_at=part.last_at):
            return False
        _add(edition.pk, counts)
    return True


def _add(edition: int, counts: Mapping[Key, int]) -> None:
    """Add the numbers to the rows of the edition, in the order of their keys."""
    if not counts:
        return
    rows = [(edition, *_stored(key), counts[key]) for key in sorted(counts)]
    names = ", ".join(COLUMNS)
    key = ", ".join(name for name in COLUMNS if name != "number")
    change = f"ON CONFLICT ({key}) DO UPDATE SET number = insights_rollup.number + excluded.number"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            arrays = ", ".join(f"%s::{kind}[]" for kind in COLUMNS.values())
            statement = f"INSERT INTO insights_rollup ({names}) SELECT * FROM unnest({arrays}) {change}"  # noqa: S608
            cursor.execute(statement, [list(column) for column in zip(*rows, strict=True)])
        else:
            places = ", ".join(["%s"] * len(COLUMNS))
            statement = f"INSERT INTO insights_rollup ({names}) VALUES ({places}) {change}"  # noqa: S608
            cursor.executemany(statement, rows)


def _stored(key: Key) -> tuple[Any, ...]:
    *rest, start, value = key
    return *rest, connection.ops.adapt_datetimefield_value(start), value


def _use(edition: Edition) -> bool:
    """Use the edition if it has counted all that the one in use has. Return whether it is used."""
    with writing(), transaction.atomic():
        # `count_log` locks only one of them, so this cannot deadlock with it.
        editions = {one.pk: one for one in Edition.objects.select_for_update().order_by("pk")}
        new = editions.get(edition.pk)
        if new is None:  # another process has used it, and a later one since
            return True
        if any(one.is_used and one.counted > new.counted for one in editions.values()):
            return False
        Edition.objects.exclude(pk=new.pk).delete()
        Edition.objects.filter(pk=new.pk).update(is_used=True)
    return True
