from django.db import models

from core.fields import ExactCharField


class Counter(models.Model):
    """One exact sliding-window counter. Only `limits.counters` reads or writes these rows.

    `slot` is the number of the newest slot. `counts` is a ring buffer of 65 packed counts, one per slot.
    """

    key = ExactCharField(primary_key=True, max_length=200)
    slot = models.BigIntegerField()
    counts = models.BinaryField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.key)
