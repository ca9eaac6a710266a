"""Consents, from the agent's request to the grant and its end, and authorization codes."""

from collections.abc import Mapping
from datetime import datetime
from hmac import compare_digest
from typing import Any

from django.conf import settings
from django.db import models
from oauth2_provider.models import AbstractGrant

from agents.models import Agent
from consent.statuses import ApprovalStatus, ConsentStatus, status_at, times_per_day
from core import secrets
from core.fields import ExactCharField, PackedJSONField
from core.ids import PrefixedIdField
from core.text import PlainTextField
from developers.models import Organization

# Without characters that look like another.
CODE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
CODE_LENGTH = 4


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


def names_target(resource: str, context: Mapping[str, Any]) -> bool:
    """Return whether a request says to whom or what it is done."""
    return bool(resource or context.get("recipient") or context.get("target"))


class Approval(models.Model):
    """A request of an agent that waits for its user, or that the user has decided.

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
    # Only of a rule that the user accepted, which answers requests of the future: how many it allows within 24 hours,
    # how many questions of the past it would have answered, and of how many (`approvals.learning`).
    evidence = models.JSONField(null=True, blank=True)
    # A standing approval is not offered, and a fresh sign-in is required.
    is_critical = models.BooleanField(default=False)
    # One of too many from this agent: shown in one batch, without a mail of its own.
    is_held = models.BooleanField(default=False)
    # Why the user is asked: the scopes whose mode is to ask, or the rule that asks.
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
    # When the user was told by mail, or it was decided that no mail is sent.
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
            # Every page of a signed-in user counts them.
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
        """Return the status at `now`. It ends with its connection, and may do so before the sweep has stored that."""
        status = self.own_status_at(now)
        is_live = status in (self.Status.PENDING, self.Status.APPROVED)
        if is_live and self.consent.status_at(now) != Consent.Status.APPROVED:
            return self.Status.EXPIRED
        return status

    def own_status_at(self, now: datetime) -> str:
        """Return the status at `now`, whatever has become of the connection."""
        if self.status in (self.Status.PENDING, self.Status.APPROVED) and self.expires_at <= now:
            return self.Status.EXPIRED
        return str(self.status)

    @property
    def is_rule(self) -> bool:
        """Whether the user accepted it as a rule. Otherwise it is a request."""
        return self.evidence is not None

    @property
    def times_per_day(self) -> int | None:
        """How many requests a rule allows within 24 hours. None for other approvals, which are not counted."""
        return None if self.evidence is None else times_per_day(self.evidence)

    @property
    def names_target(self) -> bool:
        """Whether the request says to whom or what it is done, so that an approval for a time has a bound."""
        return names_target(self.resource, self.context)

    @property
    def code(self) -> str:
        """Four characters that the agent and the page show, so that the user can tell requests apart.

        They depend on the id, too, which the server chooses, so an agent cannot choose a content for its code.
        """
        number = int(secrets.digest(f"{self.id} {self.digest}"), 16)
        return "".join(CODE_ALPHABET[number >> 5 * place & 31] for place in range(CODE_LENGTH))


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
