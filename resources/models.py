"""Resource servers, their secrets, and the scopes that organizations define."""

from django.db import models

from core.fields import ExactCharField
from core.ids import PrefixedIdField
from core.rotation import RotatableSecret
from core.text import PlainTextField
from developers.models import Developer, Organization
from resources.risks import RISK_LEVELS


class ResourceServer(models.Model):
    """A service that accepts access tokens. `identifier` is its audience, an absolute URI (RFC 8707 section 2)."""

    id = PrefixedIdField(prefix="res")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="resource_servers")
    name = PlainTextField(max_length=200)
    identifier = ExactCharField(max_length=500, unique=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return str(self.name)


class ReservedIdentifier(models.Model):
    """The identifier of a deleted resource server, which only its organization may register again."""

    identifier = ExactCharField(max_length=500, primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="reserved_identifiers")
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.identifier)


class ResourceServerSecret(RotatableSecret):
    """A resource server's secret, `rs_...`, as a digest. During the overlap of a rotation, several are valid."""

    kind = "rs"

    id = PrefixedIdField(prefix="rss")
    resource_server = models.ForeignKey(ResourceServer, on_delete=models.CASCADE, related_name="secrets")
    made_by = models.ForeignKey(Developer, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")


class CustomScope(models.Model):
    """A scope that an organization defines. The organization that first uses a prefix owns it."""

    id = ExactCharField(max_length=100, primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="custom_scopes")
    risk_level = models.CharField(max_length=8, choices=[(risk, risk) for risk in RISK_LEVELS])
    title = PlainTextField(max_length=80)
    description = PlainTextField(max_length=200)
    cannot = PlainTextField(max_length=200)
    # Any of `resources.catalogue.LABELS`, for the guard against data flows.
    labels = models.JSONField(default=list)
    is_reversible = models.BooleanField(default=False)
    # Each action that the scope covers, with the edition in which it was added: consents of before do not include it.
    covers = models.JSONField(default=dict)
    excludes = models.JSONField(default=list)
    # Actions that it covered or excluded before, which users have been told of.
    retired = models.JSONField(default=list)
    # The number of additions to `covers` so far. It never decreases.
    edition = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return str(self.id)


class ScopePrefix(models.Model):
    """A prefix of custom scopes and the organization that owns it: the first to use it."""

    prefix = ExactCharField(max_length=40, primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="scope_prefixes")

    class Meta:
        verbose_name_plural = "scope prefixes"

    def __str__(self) -> str:
        return str(self.prefix)
