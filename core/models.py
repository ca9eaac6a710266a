from django.db import models


class Counter(models.Model):
    """One exact sliding-window counter. Only `core.counters` reads or writes these rows.

    `slot` is the number of the newest slot, `counts` a ring of 65 packed counts, one a slot.
    """

    key = models.CharField(primary_key=True, max_length=200)
    slot = models.BigIntegerField()
    counts = models.BinaryField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key


class IdempotencyRecord(models.Model):
    """A POST that was answered, kept so that a retry gets the same answer. Only `core.idempotency` uses it."""

    key = models.CharField(primary_key=True, max_length=64)
    request_digest = models.CharField(max_length=64)
    sealed_answer = models.BinaryField(null=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key
