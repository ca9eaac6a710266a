"""What leaves AgentGate: webhooks and their deliveries, and where the numbers of streams are in the log.

All of it repeats the log or refers to it by ids. No personal data is stored here, save what a receiver answered, which
an erasure empties.
"""

from urllib.parse import urlsplit

from django.db import models
from django.db.models import Q

from core.fields import ExactCharField
from core.ids import PrefixedIdField
from developers.models import Developer, Organization


class Follower(models.Model):
    """One row: the index of the first entry of the log that is not routed yet, and which worker routes (`holder`)."""

    id = models.SmallIntegerField(primary_key=True)
    next_index = models.BigIntegerField(default=0)
    holder = ExactCharField(max_length=32, blank=True)
    held_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return str(self.next_index)


class Milestone(models.Model):
    """The last number that an organization's stream has in a segment of the log (`audit.sequencing.postings.SEGMENT`).

    There is one for each segment with an entry of the organization, so a reader who knows a number finds its segment.
    """

    pk = models.CompositePrimaryKey("organization_id", "segment")
    organization_id = ExactCharField(max_length=64)
    segment = models.IntegerField()
    number = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["organization_id", "number"], name="events_milestones_idx")]

    def __str__(self) -> str:
        return f"{self.organization_id} {self.segment}"


class Webhook(models.Model):
    """An endpoint of an organization's own, to which its events are sent.

    `types` are event types and patterns (`events.types`). With `agent_ids`, only events about these agents are sent.
    A worker that sends its deliveries holds it until `held_until`. Once it is deleted, it is switched off, and a sweep
    removes its deliveries before the row. `made_by` is the member who gave it its URL or saw its secret last, at
    `made_at`, and `secret_seen_by` the one who saw the secret.
    """

    class Disabled(models.TextChoices):
        """Why it is switched off."""

        MEMBER = "member"
        GONE = "gone"
        FAILING = "failing"

    id = PrefixedIdField(prefix="whk")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=2048)
    types = models.JSONField()
    agent_ids = models.JSONField(null=True, blank=True)
    is_enabled = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=16, choices=Disabled, blank=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    # Encrypted (`core.crypto`), because each delivery is signed with it. During a rotation, both sign.
    secret_sealed = models.BinaryField()
    former_sealed = models.BinaryField(null=True)
    former_until = models.DateTimeField(null=True, blank=True)
    # The first entry of the log that is not queued for it yet, and the number of the last event that was. None while
    # it is in step with the follower, which queues for it. An index that the follower has not reached is its beginning.
    cursor_index = models.BigIntegerField(null=True)
    cursor_number = models.BigIntegerField(default=0)
    # When a worker must look at it next. None without outstanding deliveries and when it is in step.
    due_at = models.DateTimeField(null=True, db_index=True)
    holder = ExactCharField(max_length=32, blank=True)
    held_until = models.DateTimeField(null=True)
    # The last try that a receiver accepted.
    delivered_at = models.DateTimeField(null=True, blank=True)
    # The last try failed, and this is when the first of its row of failures did.
    failing_since = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    made_by = models.ForeignKey(Developer, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    made_at = models.DateTimeField(null=True, blank=True)
    secret_seen_by = models.ForeignKey(Developer, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    deleted_at = models.DateTimeField(null=True, blank=True, db_index=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["cursor_index"], condition=~Q(cursor_index=None), name="events_out_of_step_idx"),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def host(self) -> str:
        """Return the host of the URL. The rest can contain a token, so it is not in the log."""
        return urlsplit(self.url).hostname or ""

    @property
    def origin(self) -> str:
        """Return the scheme, host and port of the URL, which is what those see who may not change it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


class Delivery(models.Model):
    """One event for one webhook, with its last try. It is rendered from the log at each try, so it has only ids.

    It is outstanding while it has a `due_at`, the time of its next try. `user_id` is whom the entry is about: their
    erasure empties `response_body`, which may repeat what was sent.
    """

    class Status(models.TextChoices):
        RETRYING = "retrying"  # or not tried yet
        DELIVERED = "delivered"
        FAILED = "failed"

    id = PrefixedIdField(prefix="dlv")
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    entry_id = ExactCharField(max_length=64)
    leaf_index = models.BigIntegerField()
    number = models.BigIntegerField()
    type = models.CharField(max_length=64)
    user_id = ExactCharField(max_length=64, null=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.RETRYING)
    attempt = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    first_tried_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)
    duration_ms = models.PositiveIntegerField(null=True)
    response_status = models.PositiveSmallIntegerField(null=True)
    response_body = models.TextField(blank=True)
    # Why there was no answer: a word of `events.sending`.
    error = models.CharField(max_length=32, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        constraints = [models.UniqueConstraint(fields=["webhook", "leaf_index"], name="events_one_delivery_per_event")]
        indexes = [
            models.Index(fields=["webhook", "leaf_index"], condition=~Q(due_at=None), name="events_outstanding_idx"),
            models.Index(fields=["webhook", "id"], name="events_deliveries_idx"),
            models.Index(fields=["webhook", "id"], condition=Q(status="failed"), name="events_failed_idx"),
            models.Index(fields=["created_at"], name="events_old_deliveries_idx"),
            models.Index(fields=["user_id"], condition=~Q(user_id=None), name="events_deliveries_about_idx"),
        ]

    def __str__(self) -> str:
        return str(self.id)
