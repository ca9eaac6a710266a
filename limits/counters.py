"""Exact limits across all processes: sliding-window counters in the database.

A denied call is not counted, and a call counts against all of its limits or none.

Danger: read the clock only after `lock_counters`. A time read before waiting for a lock is stale.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.transaction import TransactionManagementError

from core import clock
from core.sweeps import BATCH, lock_batch
from limits.counting import EMPTY_ROW, CounterDenial, CounterRow, row_of, take_call, windows_by_key
from limits.models import Counter
from limits.sliding_window import CounterRequest, LoadedCounter, counter_key

EMPTY_ROW_LIFETIME = timedelta(hours=1)

# One parameter holds any number of keys, in key order. A new row without counts can be deleted at once.
_LOCK = """
    INSERT INTO limits_counter (key, slot, counts, expires_at)
    SELECT {key}, 0, {nothing}, %s FROM {keys}
    ON CONFLICT (key) DO UPDATE SET key = excluded.key
    RETURNING key, slot, counts
"""
_LOCK_ON = {
    "postgresql": _LOCK.format(
        key="wanted.key",
        nothing="''::bytea",
        keys="unnest(%s::text[]) WITH ORDINALITY AS wanted(key, place) ORDER BY place",
    ),
    # Without "WHERE true" SQLite reads ON CONFLICT as a join condition.
    "sqlite": _LOCK.format(key="value", nothing="x''", keys="json_each(%s) WHERE true"),
}
_SAVE_ON_POSTGRESQL = """
    UPDATE limits_counter SET slot = new.slot, counts = new.counts, expires_at = new.expires_at
    FROM unnest(%s::text[], %s::bigint[], %s::bytea[], %s::timestamptz[])
        AS new(key, slot, counts, expires_at)
    WHERE limits_counter.key = new.key
"""
_SAVE_ON_SQLITE = "UPDATE limits_counter SET slot = %s, counts = %s, expires_at = %s WHERE key = %s"


def take_all(
    calls: Sequence[Sequence[CounterRequest]], read_clock: Callable[[], datetime]
) -> list[CounterDenial | None]:
    """Count a batch of calls. Return, in order, None for each call that fits and a denial for each other call.

    Call it in the transaction that records the outcome, so that a rollback also undoes the count.
    """
    counters = lock_counters(request for call in calls for request in call)
    now = read_clock()
    denials = [take_call(call, counters, now) for call in calls]
    save_counters(counters.values())
    return denials


def preview_all(
    calls: Sequence[Sequence[CounterRequest]], read_clock: Callable[[], datetime]
) -> list[CounterDenial | None]:
    """Return what `take_all` would return, by the counters as last committed. Count, lock and create nothing."""
    counters = read_counters(request for call in calls for request in call)
    now = read_clock()
    return [take_call(call, counters, now) for call in calls]


def lock_counters(requests: Iterable[CounterRequest]) -> dict[str, LoadedCounter]:
    """Return the counters of `requests` by key, created if missing, and locked until the transaction ends.

    One statement locks them in key order, so overlapping batches wait for each other and never deadlock. Call it only
    once per transaction. Raises `TransactionManagementError` outside a transaction, and `ValueError` for one key with
    two windows.
    """
    windows = windows_by_key(requests)
    if not windows:
        return {}
    if not connection.in_atomic_block:
        raise TransactionManagementError("Counters can be locked only inside a transaction.")
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_ON[connection.vendor], [_stored(EMPTY_ROW.expires_at), _key_list(sorted(windows))])
        rows = cursor.fetchall()
    return {key: LoadedCounter.unpack(key, windows[key], slot, bytes(packed)) for key, slot, packed in rows}


def save_counters(counters: Iterable[LoadedCounter]) -> None:
    """Save those counters from `lock_counters` that have changed."""
    rows = [
        (row.slot, row.counts, _stored(row.expires_at), key)
        for key, row in ((counter.key, row_of(counter)) for counter in counters if counter.changed)
    ]
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.executemany(_SAVE_ON_SQLITE, rows)
        else:
            slots, counts, expiries, keys = map(list, zip(*rows, strict=True))
            cursor.execute(_SAVE_ON_POSTGRESQL, [keys, slots, counts, expiries])


def read_counters(requests: Iterable[CounterRequest]) -> dict[str, LoadedCounter]:
    """Return the counters of `requests` by key as last committed. Without a lock, they may change at any time."""
    windows = windows_by_key(requests)
    rows = Counter.objects.filter(key__in=windows).values_list("key", "slot", "counts")
    stored = {key: (slot, bytes(packed)) for key, slot, packed in rows}
    counters = {
        key: LoadedCounter.unpack(key, window, *stored.get(key, EMPTY_ROW[:2])) for key, window in windows.items()
    }
    ahead = [key for key, counter in counters.items() if counter.is_ahead(clock.now())]
    return {**counters, **_correct({key: windows[key] for key in ahead})} if ahead else counters


@transaction.atomic
def _correct(windows: Mapping[str, int]) -> dict[str, LoadedCounter]:
    """Correct the counters with these keys and windows after a clock was set back."""
    counters = lock_counters(CounterRequest(key, 1, window) for key, window in windows.items())
    for counter in counters.values():
        counter.used(clock.now())
    save_counters(counters.values())
    return counters


def stored_keys(prefix: str) -> Iterator[str]:
    """Yield the keys, in order, that start with `prefix` and whose rows are not empty. Rows may change in between."""
    after = prefix
    while keys := list(_rows(prefix).filter(key__gt=after).order_by("key").values_list("key", flat=True)[:BATCH]):
        yield from keys
        after = keys[-1]


def clear_counters(keys: Collection[str]) -> None:
    """Empty counters that are locked. Their rows stay for a while, because decisions may be waiting for them."""
    rows = Counter.objects.filter(key__in=keys).exclude(counts=b"")
    rows.update(slot=0, counts=b"", expires_at=clock.now() + EMPTY_ROW_LIFETIME)


def keep_counters(owner: str, edition: int, until: datetime) -> None:
    """Let the sweep keep an owner's counters until then, because limits with longer windows count on from them.

    Those of editions before `edition` are frozen.
    """
    _put({_kept_key(owner): CounterRow(edition, b"", until)})


def frozen_keys(keys: Iterable[str]) -> set[str]:
    """Return the keys whose counters are continued by limits of a later edition."""
    by_kept = {key: _kept_key(owner_of(key)) for key in keys}
    editions = dict(Counter.objects.filter(key__in=set(by_kept.values())).values_list("key", "slot"))
    return {key for key, kept in by_kept.items() if edition_of(key) < editions.get(kept, 0)}


@transaction.atomic
def delete_idle_counters(now: datetime, limit: int = BATCH) -> int:
    """Delete up to `limit` counters that are empty at `now`, unless they are kept. Return how many were looked at."""
    idle = lock_batch(Counter.objects.filter(expires_at__lte=now).order_by("expires_at"), limit)
    owners = {owner_of(key) for key in idle}
    kept = Counter.objects.filter(key__in=map(_kept_key, owners), expires_at__gt=now).values_list("key", "expires_at")
    until = dict(kept)
    for key, moment in until.items():
        own = [each for each in idle if _kept_key(owner_of(each)) == key]
        Counter.objects.filter(key__in=own).exclude(counts=b"").update(expires_at=moment)
    Counter.objects.filter(key__in=idle, expires_at__lte=now).delete()
    return len(idle)


def owner_of(key: str) -> str:
    """Return what the counter belongs to, such as a policy: the second part of its key, without the edition."""
    return _second_part(key).partition("@")[0]


def edition_of(key: str) -> int:
    number = _second_part(key).partition("@")[2]
    return int(number) if number.isdecimal() else 0


def _second_part(key: str) -> str:
    return "".join(key.split("|", 2)[1:2])


def _kept_key(owner: str) -> str:
    return counter_key("kept", owner)


def _rows(prefix: str) -> QuerySet[Counter]:
    """Return the rows whose key starts with `prefix` and that are not empty, in a range of the index."""
    after = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return Counter.objects.filter(key__gte=prefix, key__lt=after).exclude(counts=b"")


def _put(rows: Mapping[str, CounterRow]) -> None:
    # In the order in which decisions lock them, or the two could deadlock.
    counters = [Counter(key=key, **row._asdict()) for key, row in sorted(rows.items())]
    fields = CounterRow._fields
    Counter.objects.bulk_create(counters, 1000, update_conflicts=True, unique_fields=["key"], update_fields=fields)


def _stored(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


def _key_list(keys: list[str]) -> list[str] | str:
    return json.dumps(keys) if connection.vendor == "sqlite" else keys
