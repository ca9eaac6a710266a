from django.db import models

from core.fields import ExactCharField
from core.ids import PrefixedIdField


class Counter(models.Model):
    """One exact sliding-window counter. Only `limits.counters` reads or writes these rows.

    `slot` is the number of the newest slot. `counts` is a ring buffer of 65 packed numbers, one per slot, followed by
    what is held.
    """

    key = ExactCharField(primary_key=True, max_length=200)
    slot = models.BigIntegerField()
    counts = models.BinaryField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.key)


class Reservation(models.Model):
    """An allowed request whose amount counts until it is committed, voided or lapses.

    `holds` names the counters in which the amount is held. The other ids are for the log. The resource server that made
    it may resolve it or, without one, anyone who knows the unguessable id.
    """

    class Status(models.TextChoices):
        HELD = "held"
        COMMITTED = "committed"
        VOIDED = "voided"
        LAPSED = "lapsed"

    id = PrefixedIdField(prefix="rsv", unguessable=True)
    status = models.CharField(max_length=9, choices=Status, default=Status.HELD)
    server_id = ExactCharField(max_length=64, null=True)
    audit_id = ExactCharField(max_length=64)
    organization_id = ExactCharField(max_length=64, null=True)
    service_organization_id = ExactCharField(max_length=64, null=True)
    agent_id = ExactCharField(max_length=64)
    user_id = ExactCharField(max_length=64, null=True, db_index=True)
    consent_id = ExactCharField(max_length=64, null=True)
    # Decimals as text, as in the request.
    amount = models.CharField(max_length=32, blank=True)
    final_amount = models.CharField(max_length=32, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    holds = models.JSONField(default=list)
    # Digests of the call's `Idempotency-Key` with its caller and of all that was sent, and the place in the call
    # (`decisions/repeats.py`).
    repeat_key = ExactCharField(max_length=64, null=True)
    repeat_place = models.SmallIntegerField(null=True)
    repeat_digest = ExactCharField(max_length=64, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True, db_index=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["expires_at"], condition=models.Q(status="held"), name="reservation_held_idx")]
        constraints = [models.UniqueConstraint(fields=["repeat_key", "repeat_place"], name="reservation_repeat_key")]

    def __str__(self) -> str:
        return str(self.id)
