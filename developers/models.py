"""Organizations and what belongs to them: developers, API keys, resource servers."""

from django.conf import settings
from django.db import models

from core.ids import PrefixedIdField
from core.rotation import RotatableSecret
from core.text import PlainTextField


class Organization(models.Model):
    """A tenant. `is_verified` is set by an administrator and shown on the consent screen."""

    id = PrefixedIdField(prefix="org")
    name = PlainTextField(max_length=200)
    is_verified = models.BooleanField(default=False)
    suspended_at = models.DateTimeField(null=True, blank=True)
    suspension_reason = PlainTextField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return str(self.name)

    @property
    def may_act(self) -> bool:
        """Return whether the organization, its developers, agents and resource servers may do anything at all."""
        return self.suspended_at is None

    def why_stopped(self) -> str:
        """Return why it may not act, in a sentence for anyone concerned. Empty when it may."""
        return "" if self.may_act else "The organization is suspended."

    def suspension_notice(self) -> str:
        """Return when and why an administrator suspended it, for its own developers."""
        when = f" on {self.suspended_at:%Y-%m-%d at %H:%M} UTC" if self.suspended_at else ""
        reason = f" Reason: {self.suspension_reason}" if self.suspension_reason else ""
        return f"An administrator suspended your organization{when}.{reason}"


class Developer(models.Model):
    """A person who registers agents for an organization."""

    id = PrefixedIdField(prefix="dev")
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="developer")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="developers")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return str(self.user)


class ApiKey(RotatableSecret):
    """A developer's `ag_...`. Several may be live at once while a rotation overlaps."""

    kind = "ag"

    id = PrefixedIdField(prefix="key")
    developer = models.ForeignKey(Developer, on_delete=models.CASCADE, related_name="api_keys")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="api_keys")

    class Meta(RotatableSecret.Meta):
        verbose_name = "API key"


class ResourceServer(models.Model):
    """A service that accepts our tokens. `identifier` is its audience, an absolute URI (RFC 8707 section 2)."""

    id = PrefixedIdField(prefix="res")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="resource_servers")
    name = PlainTextField(max_length=200)
    identifier = models.CharField(max_length=500, unique=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return str(self.name)


class ResourceServerSecret(RotatableSecret):
    """A resource server's `rs_...`, by digest; the old one lives on while a rotation overlaps."""

    kind = "rs"

    id = PrefixedIdField(prefix="rss")
    resource_server = models.ForeignKey(ResourceServer, on_delete=models.CASCADE, related_name="secrets")


class CustomScope(models.Model):
    """A scope of a resource server's own. The organization that first uses the prefix owns it."""

    id = models.CharField(max_length=100, primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="custom_scopes")
    risk_level = models.CharField(
        max_length=8, choices=[(risk, risk) for risk in ("low", "standard", "high", "critical")]
    )
    title = PlainTextField(max_length=80)
    description = PlainTextField(max_length=200)
    cannot = PlainTextField(max_length=200)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.id


class ScopePrefix(models.Model):
    """Who owns a prefix of custom scopes: one organization, the first."""

    prefix = models.CharField(max_length=40, primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="scope_prefixes")

    class Meta:
        verbose_name_plural = "scope prefixes"

    def __str__(self) -> str:
        return self.prefix
