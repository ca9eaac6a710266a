"""Approvals: requests from agents that are pending or that their users have decided, and standing rules."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models

from agents.models import Agent
from approvals.statuses import ApprovalStatus, times_per_day
from consent.models import Consent
from core import secrets
from core.fields import ExactCharField
from core.ids import PrefixedIdField

# Characters that do not look alike.
CODE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
CODE_LENGTH = 4


def names_target(resource: str, context: Mapping[str, Any]) -> bool:
    """Return whether a request names its recipient, target or resource."""
    return bool(resource or context.get("recipient") or context.get("target"))


class Approval(models.Model):
    """A request from an agent that waits for its user, or that the user has decided.

    Verify creates it. `digest` binds it to the content that the user sees; a standing approval also allows other
    requests with the same `target_digest`. The foreign keys have no constraint, because checking one would lock its
    row while a decision holds the lock that revocations wait for.
    """

    Status = ApprovalStatus

    id = PrefixedIdField(prefix="apr")
    consent = models.ForeignKey(Consent, on_delete=models.CASCADE, related_name="approvals", db_constraint=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="approvals",
        db_constraint=False,
        db_index=False,
    )
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="approvals", db_constraint=False)
    # The resource server that asked with its credential. None for an anonymous caller, which may have named one.
    server_id = ExactCharField(max_length=64, null=True)
    named_server_id = ExactCharField(max_length=64, null=True)
    # The identifiers of the services that the access token is for.
    audience = models.JSONField(default=list)
    organization_id = ExactCharField(max_length=64, null=True)
    service_organization_id = ExactCharField(max_length=64, null=True)
    digest = ExactCharField(max_length=64)
    target_digest = ExactCharField(max_length=64)
    status = models.CharField(max_length=8, choices=Status, default=Status.PENDING)
    is_standing = models.BooleanField(default=False)
    # Set only for a standing rule that the user accepted: the number of requests that it allows within 24 hours, the
    # number of earlier questions that it would have answered, and their total (`approvals.standing_rules`).
    evidence = models.JSONField(null=True, blank=True)
    # The user cannot approve it for a time, and must have signed in recently.
    is_critical = models.BooleanField(default=False)
    # The agent asks too often: the request is shown in a batch and gets no email of its own.
    is_held = models.BooleanField(default=False)
    # The agents from the first to `agent`, as `[[agent, delegation], ...]`, if the first one handed the work over.
    chain = models.JSONField(null=True, blank=True)
    # Why the user is asked: the scopes that ask each time, or the rule that asks.
    asked_scopes = models.JSONField(default=list)
    asked_by_rule = models.CharField(max_length=100, blank=True)

    # The request, without `context.ip`.
    scopes = models.JSONField()
    action = models.TextField(blank=True)
    resource = models.TextField(blank=True)
    context = models.JSONField(default=dict)

    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(null=True, blank=True)
    # When the user was notified by email, or it was decided to send none.
    notified_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["user", "id"]),
            models.Index(fields=["digest"]),
            models.Index(fields=["target_digest"], condition=models.Q(is_standing=True), name="approval_standing_idx"),
            models.Index(
                fields=["expires_at"], condition=models.Q(status__in=["pending", "approved"]), name="approval_live_idx"
            ),
            models.Index(
                fields=["expires_at"],
                condition=models.Q(status__in=["denied", "expired", "used"]),
                name="approval_ended_idx",
            ),
            # Every page of a signed-in user counts pending requests.
            models.Index(
                fields=["user", "expires_at"], condition=models.Q(status="pending"), name="approval_waiting_idx"
            ),
            models.Index(
                fields=["created_at"],
                condition=models.Q(notified_at__isnull=True, status="pending"),
                name="approval_unnotified_idx",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    def status_at(self, now: datetime) -> str:
        """Return the status at `now`. An approval ends with its connection, even before the sweep has stored that."""
        status = self.own_status_at(now)
        is_live = status in (self.Status.PENDING, self.Status.APPROVED)
        if is_live and self.consent.status_at(now) != Consent.Status.APPROVED:
            return self.Status.EXPIRED
        return status

    def own_status_at(self, now: datetime) -> str:
        """Return the status at `now`, regardless of the connection."""
        if self.status in (self.Status.PENDING, self.Status.APPROVED) and self.expires_at <= now:
            return self.Status.EXPIRED
        return str(self.status)

    @property
    def is_rule(self) -> bool:
        """Whether it is a standing rule that the user accepted. Otherwise it is a request."""
        return self.evidence is not None

    @property
    def times_per_day(self) -> int | None:
        """The number of requests that a rule allows within 24 hours. None for other approvals, which have no limit."""
        return None if self.evidence is None else times_per_day(self.evidence)

    @property
    def chain_agents(self) -> list[str]:
        """The ids of the agents of the chain, from the first one to the one that asked. Empty without a chain."""
        return [agent for agent, _delegation in self.chain or ()]

    @property
    def names_target(self) -> bool:
        """Whether the request names its recipient, target or resource, so that an approval for a time is bounded."""
        return names_target(self.resource, self.context)

    @property
    def code(self) -> str:
        """Four characters that the agent and the page show, so that the user can tell requests apart.

        They also depend on the id, which the server chooses, so an agent cannot craft a request to get a certain code.
        """
        number = int(secrets.digest(f"{self.id} {self.digest}"), 16)
        return "".join(CODE_ALPHABET[number >> 5 * place & 31] for place in range(CODE_LENGTH))
