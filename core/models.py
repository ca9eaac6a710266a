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


class TaskRun(models.Model):
    """The last run of a background task. The worker writes one row per task (`core.task_runs`).

    `result` is what the task returned, for most the number of rows. `error` is the type of the error that ended the
    run, and `failed_at` the start of the last run that failed.
    """

    name = ExactCharField(primary_key=True, max_length=100)
    started_at = models.DateTimeField()
    seconds = models.FloatField()
    result = models.BigIntegerField(null=True)
    error = models.CharField(max_length=200, blank=True)
    failed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "background task"

    def __str__(self) -> str:
        return str(self.name)
