"""Organizations, their developers and API keys."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models.functions import Upper
from django.utils.translation import gettext_noop

from core.fields import ExactCharField, RandomVersionField
from core.ids import PrefixedIdField
from core.rotation import NamedSecret
from core.text import PlainTextField
from core.wording import Filled
from developers.roles import Role


class Organization(models.Model):
    """A tenant. Administrators verify it, which the consent screen shows.

    It also shows the terms and the contact that the organization gives, and `domain`, which it has proved to control:
    see `DomainClaim`. None without one.
    `verified_with` is the domain that it had when it was verified: "" for none, and None if it is not verified. It
    `is_verified` only while it has that domain.
    """

    id = PrefixedIdField(prefix="org")
    name = PlainTextField(max_length=200)
    is_verified = models.BooleanField(default=False)
    verified_with = ExactCharField(max_length=253, null=True, blank=True)
    # An https address and an email address. Empty for none.
    terms_url = models.CharField(max_length=500, blank=True, db_default="")
    contact_email = models.CharField(max_length=254, blank=True, db_default="")
    domain = ExactCharField(max_length=253, null=True, blank=True, unique=True)
    suspended_at = models.DateTimeField(null=True, blank=True)
    suspension_reason = PlainTextField(max_length=300, blank=True)
    # An owner or admin sets this stop, which only they lift. It stops the organization's agents.
    stopped_at = models.DateTimeField(null=True, blank=True)
    stop_reason = PlainTextField(max_length=300, blank=True, db_default="")
    # An owner has asked to delete it. It is stopped until then, and an owner can restore it.
    deletes_at = models.DateTimeField(null=True, blank=True, db_index=True)
    # Its name, domain, scope prefixes and identifiers stay reserved. It has no members any more.
    deleted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # Triggers replace it when a policy of the organization changes: `policies.triggers`.
    policy_version = RandomVersionField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(Upper("name"), name="organizations_name_idx")]  # for searches in the admin site

    def __str__(self) -> str:
        return str(self.name)

    @property
    def may_act(self) -> bool:
        """Return whether the organization, its developers, agents and resource servers may act: it is not suspended."""
        return self.suspended_at is None

    @property
    def is_stopped(self) -> bool:
        """Return whether its members have stopped its agents, or are deleting it."""
        return self.stopped_at is not None or self.deletes_at is not None

    @property
    def serves(self) -> bool:
        """Return whether requests to its resource servers can be allowed: not if it is suspended or being deleted."""
        return self.may_act and self.deletes_at is None

    @property
    def introduces(self) -> bool:
        """Return whether the organization gives its terms or a contact."""
        return bool(self.terms_url or self.contact_email)

    def suspension_notice(self) -> str:
        """Return when and why an administrator suspended the organization, for its own developers."""
        text = gettext_noop("An administrator suspended your organization.")
        if self.suspended_at and self.suspension_reason:
            text = gettext_noop("An administrator suspended your organization on %(when)s. Reason: %(reason)s")
        elif self.suspended_at:
            text = gettext_noop("An administrator suspended your organization on %(when)s.")
        when = f"{self.suspended_at:%Y-%m-%d at %H:%M} UTC" if self.suspended_at else ""
        return Filled(text, when=when, reason=self.suspension_reason)


class Developer(models.Model):
    """A user as a member of an organization, with one role in it.

    A user can be a member of several. The row stays when the membership ends, because the log and its keys of personal
    data name it. A user who joins again gets another row.
    """

    id = PrefixedIdField(prefix="dev")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="developers")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="developers")
    role = models.CharField(max_length=16, choices=Role, default=Role.OWNER, db_default=Role.OWNER)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    # Accurate to `core.rotation.USE_PRECISION`.
    last_active_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "organization"], condition=models.Q(ended_at=None), name="one_membership"
            )
        ]

    def __str__(self) -> str:
        return str(self.user)


class ApiKey(NamedSecret):
    """An API key, `ag_...`, of a developer or, without one, of the organization. Each place that uses one has its own.

    It may do what its role permits or, if that is less, what its developer's current role does. With `agent_ids`, it
    reaches only these agents, and creates nothing. `made_by` is who made a key of the organization.
    """

    kind = "ag"

    id = PrefixedIdField(prefix="key")
    developer = models.ForeignKey(Developer, on_delete=models.CASCADE, null=True, blank=True, related_name="api_keys")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="api_keys")
    role = models.CharField(max_length=16, choices=Role, default=Role.OWNER, db_default=Role.OWNER)
    agent_ids = models.JSONField(null=True, blank=True)
    made_by = models.ForeignKey(Developer, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    # How long the developer wanted it to work. None for no end, or once a new one has replaced it.
    lifetime_seconds = models.PositiveIntegerField(null=True, blank=True)

    class Meta(NamedSecret.Meta):
        verbose_name = "API key"

    @property
    def is_replaced(self) -> bool:
        """Return whether a new one has replaced it. A key's own end has a lifetime, which a rotation clears."""
        return self.lifetime_seconds is None and super().is_replaced


class Invitation(models.Model):
    """An invitation to join, for the user who has verified the address. Inviting again makes a new one."""

    class Status(models.TextChoices):
        PENDING = "pending"
        ACCEPTED = "accepted"
        DECLINED = "declined"
        REVOKED = "revoked"
        EXPIRED = "expired"
        REPLACED = "replaced"

    id = PrefixedIdField(prefix="inv")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="invitations")
    # Normalized (`accounts.addresses`).
    email = ExactCharField(max_length=254, db_index=True)
    role = models.CharField(max_length=16, choices=Role)
    invited_by = models.ForeignKey(Developer, on_delete=models.SET_NULL, null=True, related_name="+")
    status = models.CharField(max_length=16, choices=Status, default=Status.PENDING)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "email"], condition=models.Q(status="pending"), name="one_open_invitation"
            )
        ]
        indexes = [
            models.Index(fields=["expires_at"], condition=models.Q(status="pending"), name="open_invitations_idx"),
            models.Index(fields=["ended_at"], name="ended_invitations_idx"),
        ]

    def __str__(self) -> str:
        return str(self.id)

    def status_at(self, now: datetime) -> "Invitation.Status":
        """Return the status, which is `EXPIRED` from the end on, although a sweep stores that later."""
        is_over = self.status == self.Status.PENDING and self.expires_at <= now
        return self.Status.EXPIRED if is_over else self.Status(self.status)


class DomainClaim(models.Model):
    """The domain that an organization wants to prove, or has proved, by publishing `token`, which is not secret.

    Other organizations may claim the same name. Only the first to prove it gets it as its `domain`.
    """

    class Method(models.TextChoices):
        DNS = "dns"
        FILE = "file"

    class Problem(models.TextChoices):
        """Why a check did not find the token."""

        ABSENT = "absent"
        OTHER = "other"
        UNREACHABLE = "unreachable"

    id = PrefixedIdField(prefix="dom")
    organization = models.OneToOneField(Organization, on_delete=models.CASCADE, related_name="domain_claim")
    name = ExactCharField(max_length=253)
    token = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    checked_at = models.DateTimeField(null=True, blank=True)
    # How the last check found the token. Empty if it did not: then there is a problem with each way.
    method = models.CharField(max_length=8, choices=Method.choices, blank=True)
    dns_problem = models.CharField(max_length=16, choices=Problem.choices, blank=True)
    file_problem = models.CharField(max_length=16, choices=Problem.choices, blank=True)
    # How the domain is proved, which stays while a check does not find the proof. Empty unless it is proved.
    proved_by = models.CharField(max_length=8, choices=Method.choices, blank=True)
    # None unless the domain is proved.
    proved_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True, db_index=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    # When the organization asked administrators to verify it. None once they have decided.
    review_asked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return str(self.name)
