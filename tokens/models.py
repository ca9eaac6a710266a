"""Families, access and refresh tokens, signing keys. Secrets are kept as digests, or sealed.

django-oauth-toolkit's abstract models give the columns it needs; what it would leave readable is dropped.
"""

from collections.abc import Iterable

from django.conf import settings
from django.db import models
from oauth2_provider.models import AbstractAccessToken, AbstractRefreshToken

from agents.models import Agent
from consent.models import AuthorizationCode, Consent
from core.ids import PrefixedIdField


class TokenFamily(models.Model):
    """All that descends from one code. Ending the family ends every token in it: verify reads this row.

    `code` is None for a client on its own, and once the sweep has deleted the old code.
    `scope` and `resource` are what the family may hold at most; no refresh adds to them. `removed_scopes` are those
    that the person took back since: granted again to another device, they do not return to this one.
    """

    id = PrefixedIdField(prefix="fam")
    application = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="families")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True)
    consent = models.ForeignKey(Consent, on_delete=models.CASCADE, null=True, blank=True, related_name="families")
    code = models.OneToOneField(AuthorizationCode, on_delete=models.SET_NULL, null=True, related_name="family")
    scope = models.TextField()
    removed_scopes = models.JSONField(default=list)
    resource = models.JSONField(default=list)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "token families"

    def __str__(self) -> str:
        return str(self.id)

    def granted_among(self, scopes: Iterable[str]) -> list[str]:
        """Return those of `scopes` that the person still grants it; all of them where there is no person."""
        if self.consent is None:
            return list(scopes)
        granted = self.consent.granted_scopes
        return [scope for scope in scopes if scope in granted and scope not in self.removed_scopes]


class AccessToken(AbstractAccessToken):
    """What an access token says, by its `jti`. The token itself is a signed JWT and is not kept."""

    id = PrefixedIdField(prefix="tok")
    application = models.ForeignKey(Agent, on_delete=models.CASCADE)
    resource = models.JSONField(default=list)
    family = models.ForeignKey(TokenFamily, on_delete=models.CASCADE, related_name="access_tokens")

    token = None
    token_checksum = None
    id_token = None
    source_refresh_token = None
    updated = None

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["expires"])]


class RefreshToken(AbstractRefreshToken):
    """A refresh token by its digest (`token_checksum`); used once, then `consumed_at` is set.

    `sealed_answer` is what it yielded, while a public client may ask again (`tokens/repeats.py`).
    """

    id = PrefixedIdField(prefix="rft")
    token_checksum = models.CharField(max_length=64, unique=True)
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
            models.Index(
                fields=["consumed_at"], condition=models.Q(sealed_answer__isnull=False), name="tokens_kept_answers_idx"
            ),
        ]


class SigningKey(models.Model):
    """A key for access tokens. It is published before it signs and stays published while its tokens live."""

    kid = models.CharField(max_length=64, primary_key=True)
    algorithm = models.CharField(max_length=8)
    public_jwk = models.JSONField(null=True, blank=True)
    private_sealed = models.BinaryField(editable=False)
    # Which JWT_SECRET seals it: after a change of the secret it still verifies, and another one signs.
    secret_id = models.CharField(max_length=32)
    created_at = models.DateTimeField()
    activates_at = models.DateTimeField()
    retires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-activates_at"]

    def __str__(self) -> str:
        return f"{self.kid} {self.algorithm}"
