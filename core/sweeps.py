"""Delete expired rows, oldest first, in small batches. Every sweep can be repeated."""

import time
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

BATCH = 1000
# How long one run may take. What is left is for the next run.
SECONDS = 20.0
# How long a sweep rests after a full batch, as a share of the batch's time. SQLite's other writers poll for their turn.
REST = {"sqlite": 1.0, "postgresql": 0.25}


def sweep(*batches: Callable[..., int]) -> int:
    """Call each of `batches` with `limit` until it finds fewer rows, in turn, for up to `SECONDS`. Return the total."""
    deadline, total, pending = time.monotonic() + SECONDS, 0, list(batches)
    while pending and time.monotonic() < deadline:
        counts = [_rested(batch) for batch in pending]
        total += sum(counts)
        pending = [batch for batch, count in zip(pending, counts, strict=True) if count >= BATCH]
    return total


def lock_batch(rows: QuerySet[Any], limit: int) -> list[Any]:
    """Lock the first `limit` rows until the transaction ends and return their primary keys.

    Rows locked by another transaction are skipped. A sweep never waits for a lock, so it cannot deadlock. Order the
    rows by the indexed column that `rows` is filtered by: otherwise the database sorts all of them for each batch.
    """
    free = rows.select_for_update(of=("self",), skip_locked=True)
    return list(free.values_list("pk", flat=True)[:limit])


@transaction.atomic
def delete_batch(rows: QuerySet[Any], *, limit: int = BATCH) -> int:
    """Delete the first `limit` unlocked rows and return how many."""
    pks = lock_batch(rows, limit)
    rows.model._default_manager.filter(pk__in=pks).delete()
    return len(pks)


def _rested(batch: Callable[..., int]) -> int:
    """Run a batch. Rest after a full one, so that other writers and the disk get their turn."""
    start = time.monotonic()
    count = batch(limit=BATCH)
    if count >= BATCH:
        time.sleep(REST[connection.vendor] * (time.monotonic() - start))
    return count
