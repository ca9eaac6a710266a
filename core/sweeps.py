"""Sweeps delete what has run out: in small batches, safe to repeat."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet

BATCH = 500


@transaction.atomic
def delete_batch(rows: QuerySet[Any], *, limit: int = BATCH) -> int:
    """Delete up to `limit` of the rows, the first ones in their order; return how many are gone.

    Rows that another transaction holds are skipped. The sweep waits for no one, so it cannot deadlock.
    """
    free = rows.select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True)
    return int(rows.model._default_manager.filter(pk__in=list(free[:limit])).delete()[0])
