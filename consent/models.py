"""A consent, from the agent's request to the grant and its end, and the authorization code that it yields."""

from datetime import datetime
from hmac import compare_digest

from django.conf import settings
from django.db import models
from oauth2_provider.models import AbstractGrant

from agents.models import Agent
from core.ids import PrefixedIdField
from core.text import PlainTextField
from developers.models import Organization


class Consent(models.Model):
    """What an agent asked a person for, and what the person granted.

    Everything the agent asked is fixed at the request. `granted_scopes` is a snapshot that is never added to.
    `expires_at` is the end of the request while it is pending, and the end of the grant once approved.

    A person has at most one approved consent per agent: their connection. Approving a later request replaces it;
    `replaced_by` of every earlier one then points to the latest.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"
        DENIED = "denied"
        EXPIRED = "expired"
        REVOKED = "revoked"
        REPLACED = "replaced"

    class Door(models.TextChoices):
        """How the person arrives: by a link that any browser may open, or in the one browser that the agent sent."""

        LINK = "link"
        BROWSER = "browser"

    id = PrefixedIdField(prefix="cns", unguessable=True)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="consents")
    # The agent's; for a stock client, which has none, that of the first service it named.
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, null=True, related_name="consents")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="consents"
    )
    status = models.CharField(max_length=8, choices=Status, default=Status.PENDING)

    # The request. A hint to an unknown user is kept too: a response must not tell which users exist.
    hinted_user_id = models.CharField(max_length=64, blank=True)
    requested_scopes = models.JSONField()
    optional_scopes = models.JSONField(default=list)
    redirect_uri = models.TextField()
    state = models.TextField(blank=True)
    code_challenge = models.CharField(max_length=128, blank=True)
    resource = models.JSONField(default=list)
    # The organization of each named service. An organization that registers the identifier later gets nothing.
    resource_owners = models.JSONField(default=dict)
    reason = PlainTextField(max_length=200, blank=True)
    # Whether the request came with the agent's own credentials; otherwise anyone may have written the reason.
    is_authenticated = models.BooleanField(default=False)
    # The words of every scope on the screen, as they were at the request: the page shows these, whatever changes since.
    shown_scopes = models.JSONField(default=list)
    door = models.CharField(max_length=8, choices=Door, default=Door.LINK)
    # The digest of the browser's cookie. Empty at the browser's door: a pushed request that no browser has opened yet.
    browser_digest = models.CharField(max_length=64, blank=True)

    granted_scopes = models.JSONField(default=list)
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
            models.Index(fields=["status", "expires_at"]),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "agent"], condition=models.Q(status="approved"), name="one_approved_consent"
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    def status_at(self, now: datetime) -> str:
        """Return the status at `now`: what has run out is expired before the sweep says so."""
        if self.status in (self.Status.PENDING, self.Status.APPROVED) and self.expires_at <= now:
            return self.Status.EXPIRED
        return self.status

    def is_open_in(self, browser_digest: str) -> bool:
        """Return whether the browser with this cookie may show and decide the request."""
        if self.door == self.Door.LINK:
            return True
        return bool(self.browser_digest) and compare_digest(self.browser_digest, browser_digest)

    def askable_scopes(self) -> list[str]:
        """Return the requested scopes that the agent may still hold: those that can be granted."""
        return self.agent.allowed_among(self.requested_scopes)

    def live_scopes(self) -> list[str]:
        """Return the granted scopes that the agent may still hold: its own narrowing counts, its widening does not."""
        return self.agent.allowed_among(self.granted_scopes)


class AuthorizationCode(AbstractGrant):
    """A code (RFC 6749 section 4.1.2): 60 seconds, once. `code` is its digest. What it yielded is its `family`."""

    id = PrefixedIdField(prefix="cod")
    code = models.CharField(max_length=64, unique=True)
    resource = models.JSONField(default=list)
    consent = models.ForeignKey(Consent, on_delete=models.CASCADE, related_name="codes")
    consumed_at = models.DateTimeField(null=True, blank=True)

    nonce = None
    claims = None
    updated = None

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["expires"])]
