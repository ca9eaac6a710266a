"""Consents, from the agent's request to the grant and its end, and authorization codes."""

from datetime import datetime
from hmac import compare_digest
from typing import Any

from django.conf import settings
from django.db import models
from oauth2_provider.models import AbstractGrant

from agents.models import Agent
from consent.statuses import ConsentStatus, status_at
from core.fields import ExactCharField, PackedJSONField
from core.ids import PrefixedIdField
from core.text import PlainTextField
from developers.models import Organization


class Consent(models.Model):
    """What an agent requested from a user, and what the user granted.

    The request does not change once it is created. `granted_scopes` is a snapshot to which no scope is ever added.
    `expires_at` is the end of the request while it is pending, and the end of the grant once it is approved.

    A user has at most one approved consent per agent: the connection. Approving a later request replaces it, and
    `replaced_by` of all earlier ones then points to the latest.
    """

    Status = ConsentStatus

    class Door(models.TextChoices):
        """How the user arrives: by a link that any browser may open, or in the browser that the agent redirected."""

        LINK = "link"
        BROWSER = "browser"

    class Delegation(models.TextChoices):
        """To which other agents the agent may hand work: none, those of its organization, or also verified ones."""

        NONE = "none"
        DEVELOPER = "developer"
        VERIFIED = "verified"

    id = PrefixedIdField(prefix="cns", unguessable=True)
    # The indexes on agent and id, organization and id, and user and id also serve queries by the first column alone.
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="consents", db_index=False)
    # The agent's organization. A stock client has none: then that of the first service it requested.
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, null=True, related_name="consents", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="consents",
        db_index=False,
    )
    status = models.CharField(max_length=8, choices=Status, default=Status.PENDING)

    # The request. The hint may name an unknown user, because a response must not reveal which users exist.
    hinted_user_id = ExactCharField(max_length=64, blank=True)
    requested_scopes = models.JSONField()
    optional_scopes = models.JSONField(default=list)
    redirect_uri = models.TextField()
    state = models.TextField(blank=True)
    code_challenge = models.CharField(max_length=128, blank=True)
    resource = models.JSONField(default=list)
    # The organization of each service in `resource`. One that registers the identifier later is granted nothing.
    resource_owners = models.JSONField(default=dict)
    reason = PlainTextField(max_length=200, blank=True)
    # Whether the agent authenticated. If not, anyone may have written the reason.
    is_authenticated = models.BooleanField(default=False)
    # The texts of the requested scopes at the time of the request. The page shows these, even if they change later.
    shown_scopes = PackedJSONField(default=list)
    # The language in which the user read the texts when they approved, and the version of its translations
    # (`core.catalogs`). The texts themselves are stored in English.
    language = models.CharField(max_length=10, blank=True, db_default="")
    catalog_version = models.CharField(max_length=16, blank=True, db_default="")
    # The names, hosts and organizations of its services at that time (`consent.shown_services`).
    shown_services = models.JSONField(default=list)
    door = models.CharField(max_length=8, choices=Door, default=Door.LINK)
    # The digest of the browser's cookie. Empty if any browser may open the link, or none has opened a pushed request.
    browser_digest = ExactCharField(max_length=64, blank=True)

    # What the agent wants to act on (RFC 9396), from which the user picks (`consent.details`).
    authorization_details = models.JSONField(default=list)

    granted_scopes = models.JSONField(default=list)
    # How the user bounds the granted scopes (`consent.terms`). Empty if the user does not.
    terms = models.JSONField(default=dict)
    delegation = models.CharField(max_length=9, choices=Delegation, default=Delegation.NONE, db_default="none")
    # Set while the user pauses the agent. A consent that replaces this one stays paused.
    paused_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    replaced_at = models.DateTimeField(null=True, blank=True)
    replaced_by = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="predecessors"
    )
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["user", "id"]),
            models.Index(fields=["agent", "id"]),
            # The administrator's page of an organization shows its newest consents and how many are approved. With an
            # index of the organization alone, SQLite searches the consents of all organizations for them.
            models.Index(fields=["organization", "id"], name="consent_newest_of_org_idx"),
            models.Index(fields=["organization", "status"], name="consent_status_of_org_idx"),
            # The counts of a stop's impact need no table (consent/impact.py).
            models.Index(fields=["agent", "status", "expires_at", "user", "id"], name="consent_of_agent_idx"),
            models.Index(fields=["status", "expires_at", "id"], name="consent_by_status_idx"),
            models.Index(
                fields=["expires_at"], condition=models.Q(decided_at__isnull=True), name="consent_undecided_idx"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "agent"], condition=models.Q(status="approved"), name="one_approved_consent"
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    def status_at(self, now: datetime) -> str:
        """Return the status at `now`, which may be expired before the sweep has stored that."""
        return status_at(now, stored=self.status, expires_at=self.expires_at)

    @property
    def is_paused(self) -> bool:
        """Return whether the user pauses this agent, or all agents."""
        return self.paused_at is not None or (self.user is not None and self.user.agents_paused_at is not None)

    def is_open_in(self, browser_digest: str) -> bool:
        """Return whether the browser with this cookie may show and decide the request."""
        if self.door == self.Door.LINK:
            return True
        return bool(self.browser_digest) and compare_digest(self.browser_digest, browser_digest)

    def askable_scopes(self) -> list[str]:
        """Return the requested scopes that can be granted, because the agent is still allowed them."""
        return self.agent.allowed_among(self.requested_scopes)

    @property
    def targets(self) -> dict[str, Any]:
        """The targets to which scopes are bounded (`consent.targets`)."""
        found: dict[str, Any] = self.terms.get("targets", {})
        return found

    def live_scopes(self) -> list[str]:
        """Return the granted scopes that the agent is still allowed. Scopes it is allowed later are not granted."""
        return self.agent.allowed_among(self.granted_scopes)


class AuthorizationCode(AbstractGrant):
    """An authorization code (RFC 6749 section 4.1.2). `code` is its digest, `family` the tokens issued for it."""

    id = PrefixedIdField(prefix="cod")
    code = ExactCharField(max_length=64, unique=True)
    resource = models.JSONField(default=list)
    resource_owners = models.JSONField(default=dict)
    consent = models.ForeignKey(Consent, on_delete=models.CASCADE, related_name="codes")
    consumed_at = models.DateTimeField(null=True, blank=True)

    nonce = None
    claims = None
    updated = None

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["expires"])]
