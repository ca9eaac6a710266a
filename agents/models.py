"""The agent: an OAuth client (RFC 6749 section 2) that a developer registers."""

from collections.abc import Iterable

from django.db import models
from django.db.models.functions import Upper
from oauth2_provider.models import AbstractApplication

from agents.stops import AgentStatus, Stopper, find_stopper
from core.fields import ExactCharField
from core.ids import PrefixedIdField
from core.rotation import NamedSecret
from core.secrets import new_secret
from core.text import PlainTextField
from developers.models import Developer, Organization


def new_client_id() -> str:
    """Return a public client identifier, `agc_...`."""
    return new_secret("agc")


class Agent(AbstractApplication):
    """An OAuth client. `organization` is None for a stock client, which registered itself.

    `redirect_uris` is a space-separated string, as django-oauth-toolkit requires; read `redirect_uri_list`.
    """

    Status = AgentStatus

    class AuthMethod(models.TextChoices):
        """RFC 7591 section 2, `token_endpoint_auth_method`."""

        NONE = "none"
        BASIC = "client_secret_basic"
        POST = "client_secret_post"
        PRIVATE_KEY_JWT = "private_key_jwt"

    id = PrefixedIdField(prefix="agt")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, null=True, related_name="agents")
    client_id = ExactCharField(max_length=255, unique=True, default=new_client_id)
    name = PlainTextField("name", max_length=255, blank=True)
    description = PlainTextField(max_length=500, blank=True)
    # https addresses of the developer's own pages, which the consent screen shows. Empty if not given.
    homepage_url = models.CharField(max_length=500, blank=True)
    privacy_url = models.CharField(max_length=500, blank=True)
    # The digest of its `AgentLogo`, so that pages can link to it without reading that row. Empty without a logo.
    logo_digest = ExactCharField(max_length=64, blank=True)
    allowed_scopes = models.JSONField(default=list)
    require_pkce = models.BooleanField(default=False)
    # The developer sets `status` and an administrator sets the stop. Neither overwrites the other.
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    stopped_at = models.DateTimeField(null=True, blank=True)
    stop_reason = PlainTextField(max_length=300, blank=True)
    # Who registered it. None if a key of the organization did, or if it was registered before this was recorded.
    made_by = models.ForeignKey(Developer, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    # A deleted agent stays suspended. Only its name is still needed, in its users' histories and in the log.
    deleted_at = models.DateTimeField(null=True, blank=True)
    # When a reset of an unverified account suspended it. Redirect URIs from before are dropped when it is reactivated.
    reclaimed_at = models.DateTimeField(null=True, blank=True, editable=False)
    token_endpoint_auth_method = models.CharField(max_length=32, choices=AuthMethod, default=AuthMethod.BASIC)

    # The keys of a client that signs assertions (RFC 7523), registered or last fetched from `jwks_uri`.
    jwks = models.JSONField(null=True, blank=True)
    jwks_uri = models.CharField(max_length=500, blank=True)
    jwks_fetched_at = models.DateTimeField(null=True, blank=True)

    # Unused fields of the toolkit's base class. Secrets are rows of `ClientSecret`, so that several can be valid.
    user = None
    client_secret = None
    hash_client_secret = None
    post_logout_redirect_uris = None
    allowed_origins = None
    algorithm = None
    skip_authorization = False

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(Upper("name"), name="agents_name_idx"),  # for searches in the admin site
            models.Index(
                fields=["created"], condition=~models.Q(registration_source="manual"), name="agents_stock_created_idx"
            ),
        ]

    def clean(self) -> None:
        """Skip the toolkit's validation, which reads columns removed here. The services validate instead."""

    @property
    def redirect_uri_list(self) -> list[str]:
        return self.redirect_uris.split()

    @property
    def introduces(self) -> bool:
        """Return whether the consent screen has an introduction by the developer to show."""
        says = self.description or self.homepage_url or self.privacy_url or self.logo_digest
        return bool(says) or (self.organization is not None and self.organization.introduces)

    @property
    def stopped_by(self) -> Stopper | None:
        """Return why the agent may not act. None if it may."""
        return find_stopper(
            organization_suspended=self.organization is not None and not self.organization.may_act,
            organization_stopped=self.organization is not None and self.organization.is_stopped,
            is_stopped=self.is_stopped,
            status=self.status,
        )

    @property
    def may_act(self) -> bool:
        """Return whether the agent may act: neither it nor its organization is stopped."""
        return self.stopped_by is None

    @property
    def is_stopped(self) -> bool:
        """Return whether an administrator has stopped it. To decide whether it may act, use `may_act`."""
        return self.stopped_at is not None

    @property
    def is_confidential(self) -> bool:
        return self.client_type == self.CLIENT_CONFIDENTIAL

    @property
    def is_stock(self) -> bool:
        """Return whether no organization registered it: it registered itself or published a metadata document."""
        return self.registration_source != self.RegistrationSource.MANUAL

    def allowed_among(self, scopes: Iterable[str]) -> list[str]:
        """Return the `scopes` that the agent may currently have.

        A stock client has no `allowed_scopes`. The resource server that it requests limits its scopes.
        """
        return [scope for scope in scopes if self.is_stock or scope in self.allowed_scopes]


class ClientSecret(NamedSecret):
    """An agent's client secret, `ags_...`, as a digest. Several can be valid, one for each place that uses it."""

    kind = "ags"

    id = PrefixedIdField(prefix="sec")
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="secrets")
    made_by = models.ForeignKey(Developer, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")


class AddedRedirectUri(models.Model):
    """When a redirect URI of an organization's agent was registered, and by whom."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="added_redirect_uris", db_index=False)
    uri = ExactCharField(max_length=500)
    made_by = models.ForeignKey(Developer, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "uri"], name="added_redirect_uri_once")]

    def __str__(self) -> str:
        return str(self.uri)


class AgentLogo(models.Model):
    """An agent's logo, fetched once from where its developer publishes it, and served by us."""

    agent = models.OneToOneField(Agent, on_delete=models.CASCADE, primary_key=True, related_name="logo")
    content = models.BinaryField()
    media_type = models.CharField(max_length=16)
    source_url = models.CharField(max_length=500)
    fetched_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"Logo of {self.agent_id}"


class ReportedAgent(models.Model):
    """How often users have reported an agent since an administrator reviewed it, and when they last did."""

    agent = models.OneToOneField(Agent, on_delete=models.CASCADE, primary_key=True, related_name="reported")
    number = models.PositiveIntegerField()
    reported_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"Reports about {self.agent_id}"


class EmergencyStop(models.Model):
    """The emergency stop. While its only row exists, all requests are denied and no token is issued."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    stopped_at = models.DateTimeField()
    reason = PlainTextField(max_length=300)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_emergency_stop")]

    def __str__(self) -> str:
        return f"Everything stopped at {self.stopped_at:%Y-%m-%d %H:%M}"


class UsedAssertion(models.Model):
    """A used client assertion (RFC 7523 section 3, `jti`), stored until the assertion expires."""

    digest = ExactCharField(max_length=64, primary_key=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.digest)[:8]
