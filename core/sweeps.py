"""Delete expired rows in small batches. A sweep can be repeated safely."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet

BATCH = 500


@transaction.atomic
def delete_batch(rows: QuerySet[Any], *, limit: int = BATCH) -> int:
    """Delete the first `limit` rows and return how many were deleted.

    Rows locked by another transaction are skipped. A sweep never waits for a lock, so it cannot deadlock.
    """
    free = rows.select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True)
    return int(rows.model._default_manager.filter(pk__in=list(free[:limit])).delete()[0])
