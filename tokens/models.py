"""Token families, access tokens, refresh tokens and signing keys. Secrets are stored as digests or sealed.

django-oauth-toolkit's abstract models provide the columns it needs. Those that would hold plaintext are removed.
"""

from collections.abc import Iterable, Sequence

from django.conf import settings
from django.db import models
from oauth2_provider.models import AbstractAccessToken, AbstractRefreshToken

from agents.models import Agent
from consent.models import AuthorizationCode, Consent
from consent.targets import Details, granted_details
from core.fields import ExactCharField
from core.ids import PrefixedIdField


class TokenFamily(models.Model):
    """All tokens that descend from one authorization code. Ending the family ends them all: verify reads this row.

    `code` is None for client credentials. `scope` and `resource` are the maximum for the family; no refresh adds to
    them. `resource_owners` are the organizations of its services when the user was asked (`resources.audiences`): one
    that registers an identifier later gets nothing that was granted before. `removed_scopes` are those that the user
    has removed since: if they are granted again on another device, this family does not get them back. No token of the
    family is valid after `expires_at`.
    """

    id = PrefixedIdField(prefix="fam")
    # The agent's own index is left out, here and below: others begin with it.
    application = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="families", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True)
    consent = models.ForeignKey(Consent, on_delete=models.CASCADE, null=True, blank=True, related_name="families")
    # Without a constraint, the sweep of old codes neither updates families nor waits for their locks. The id remains.
    code = models.OneToOneField(
        AuthorizationCode, on_delete=models.DO_NOTHING, null=True, related_name="family", db_constraint=False
    )
    scope = models.TextField()
    removed_scopes = models.JSONField(default=list)
    resource = models.JSONField(default=list)
    resource_owners = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "token families"
        indexes = [
            # The newest of an agent, and the counts of a stop's impact, which need no table (tokens/impact.py).
            models.Index(fields=["application", "id"], name="families_of_agent_idx"),
            models.Index(fields=["application", "revoked_at", "expires_at", "consent"], name="families_live_idx"),
        ]

    def __str__(self) -> str:
        return str(self.id)

    def granted_among(self, scopes: Iterable[str]) -> list[str]:
        """Return those of `scopes` that the user still grants to this family, or all if no user is involved."""
        if self.consent is None:
            return list(scopes)
        granted = self.consent.granted_scopes
        return [scope for scope in scopes if scope in granted and scope not in self.removed_scopes]

    def details_of(self, scopes: Sequence[str]) -> Details:
        """Return the authorization details that the user grants for these scopes (RFC 9396)."""
        return granted_details(self.consent.targets, scopes) if self.consent else []


class AccessToken(AbstractAccessToken):
    """The record of an access token, whose `jti` is its ID. The signed JWT itself is not stored."""

    id = PrefixedIdField(prefix="tok")
    application = models.ForeignKey(Agent, on_delete=models.CASCADE, db_index=False)
    resource = models.JSONField(default=list)
    # Those of its family, for its own audience.
    resource_owners = models.JSONField(default=dict)
    family = models.ForeignKey(TokenFamily, on_delete=models.CASCADE, related_name="access_tokens")

    token = None
    token_checksum = None
    id_token = None
    source_refresh_token = None
    updated = None

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["expires"]),
            # The newest of an agent.
            models.Index(fields=["application", "id"], name="access_tokens_of_agent_idx"),
        ]


class RefreshToken(AbstractRefreshToken):
    """A refresh token, stored as its digest (`token_checksum`). Its single use sets `consumed_at`.

    `sealed_answer` is the response to that use, stored while a public client may repeat it (`tokens/repeats.py`).
    """

    id = PrefixedIdField(prefix="rft")
    application = models.ForeignKey(Agent, on_delete=models.CASCADE, db_index=False)
    token_checksum = ExactCharField(max_length=64, unique=True)
    family = models.ForeignKey(TokenFamily, on_delete=models.CASCADE, related_name="refresh_tokens")
    expires = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True, blank=True)
    sealed_answer = models.BinaryField(null=True)

    token = None
    access_token = None
    token_family = None
    resource = None
    revoked = None
    updated = None

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["expires"]),
            # Few rows have an answer, so this also serves the sweep. Without `consumed_at`, marking a token as used
            # changes no index.
            models.Index(
                fields=["family"], condition=models.Q(sealed_answer__isnull=False), name="tokens_kept_answers_idx"
            ),
            models.Index(fields=["application", "id"], name="refresh_tokens_of_agent_idx"),
        ]


class SigningKey(models.Model):
    """A key that signs access tokens, published before its first signature and until its last token has expired."""

    kid = ExactCharField(max_length=64, primary_key=True)
    algorithm = models.CharField(max_length=8)
    public_jwk = models.JSONField(null=True, blank=True)
    private_sealed = models.BinaryField(editable=False)
    # Identifies the JWT_SECRET that seals it. After JWT_SECRET changes, this key still verifies and a new one signs.
    secret_id = ExactCharField(max_length=32)
    created_at = models.DateTimeField()
    activates_at = models.DateTimeField()
    retires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-activates_at"]

    def __str__(self) -> str:
        return f"{self.kid} {self.algorithm}"
