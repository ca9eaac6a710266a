from django.db import models

from core.fields import ExactCharField


class IdempotencyRecord(models.Model):
    """The stored answer to a POST, returned to retries. Used only by `core.idempotency`."""

    key = ExactCharField(primary_key=True, max_length=64)
    request_digest = ExactCharField(max_length=64)
    sealed_answer = models.BinaryField(null=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.key)
