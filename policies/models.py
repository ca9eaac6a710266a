"""Policies: what an organization lets its agents do, whatever people consented to."""

from django.db import models

from agents.models import Agent
from core.ids import PrefixedIdField
from core.text import PlainTextField
from developers.models import Organization


class Policy(models.Model):
    """Rules that must all hold, for one agent or, without one, for every agent of the organization."""

    id = PrefixedIdField(prefix="pol")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="policies")
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, null=True, blank=True, related_name="policies")
    name = PlainTextField(max_length=200)
    description = PlainTextField(max_length=500, blank=True)
    enabled = models.BooleanField(default=True)
    rules = models.JSONField(default=list)
    # A `Ledger`, written by `policies.limits` only.
    limit_history = models.JSONField(default=dict, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return str(self.name)
