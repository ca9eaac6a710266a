"""Organizations, their developers and API keys."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Upper
from django.utils.translation import gettext_noop

from core.fields import RandomVersionField
from core.ids import PrefixedIdField
from core.rotation import RotatableSecret
from core.text import PlainTextField
from core.wording import Filled


class Organization(models.Model):
    """A tenant. Administrators set `is_verified`, which the consent screen shows."""

    id = PrefixedIdField(prefix="org")
    name = PlainTextField(max_length=200)
    is_verified = models.BooleanField(default=False)
    suspended_at = models.DateTimeField(null=True, blank=True)
    suspension_reason = PlainTextField(max_length=300, blank=True)
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
    """A user as a member of an organization, who registers its agents."""

    id = PrefixedIdField(prefix="dev")
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="developer")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="developers")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return str(self.user)


class ApiKey(RotatableSecret):
    """A developer's API key, `ag_...`. During the overlap of a rotation, several are valid."""

    kind = "ag"

    id = PrefixedIdField(prefix="key")
    developer = models.ForeignKey(Developer, on_delete=models.CASCADE, related_name="api_keys")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="api_keys")

    class Meta(RotatableSecret.Meta):
        verbose_name = "API key"


class SavedView(models.Model):
    """A developer's own name for a filtered view of the log. `query` is the query of its URL."""

    id = PrefixedIdField(prefix="lvw")
    developer = models.ForeignKey(Developer, on_delete=models.CASCADE, related_name="saved_views")
    name = PlainTextField(max_length=60)
    query = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint("developer", Upper("name"), name="saved_views_unique_name")]

    def __str__(self) -> str:
        return str(self.name)
