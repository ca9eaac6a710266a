"""Policies: limits that an organization sets for its agents, whatever users have granted."""

from django.db import models

from agents.models import Agent
from core.ids import PrefixedIdField
from core.text import PlainTextField
from developers.models import Organization


class Policy(models.Model):
    """Rules that must all allow a request, for one agent or, if `agent` is None, every agent of the organization."""

    class Mode(models.TextChoices):
        """Whether the policy decides, or only records what it would have decided."""

        ENFORCE = "enforce"
        SHADOW = "shadow"

    id = PrefixedIdField(prefix="pol")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="policies")
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, null=True, blank=True, related_name="policies")
    name = PlainTextField(max_length=200)
    description = PlainTextField(max_length=500, blank=True)
    enabled = models.BooleanField(default=True)
    mode = models.CharField(max_length=7, choices=Mode, default=Mode.ENFORCE)
    rules = models.JSONField(default=list)
    # A serialized `Ledger`. Only `policies.limits` may change it.
    limit_history = models.JSONField(default=dict, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return str(self.name)


class PolicyVersion(models.Model):
    """A policy as it was after a change. `policies.versions` writes and reads it."""

    # The constraint has an index that begins with it.
    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    content = models.JSONField()
    # The actor.
    actor_kind = models.CharField(max_length=20, blank=True)
    actor_id = models.CharField(max_length=64, blank=True)
    restored_from = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["policy", "number"], name="one_version_per_number")]

    def __str__(self) -> str:
        return f"{self.policy_id} {self.number}"
