"""Token families, delegations, access tokens, refresh tokens and signing keys. Secrets are stored as digests or sealed.

django-oauth-toolkit's abstract models provide the columns it needs. Those that would hold plaintext are removed.
"""

from collections.abc import Iterable

from django.conf import settings
from django.db import models
from oauth2_provider.models import AbstractAccessToken, AbstractRefreshToken

from agents.models import Agent
from consent.models import AuthorizationCode, Consent
from core.fields import ExactCharField
from core.ids import PrefixedIdField
from core.text import PlainTextField


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
    # By which the agent acts, if another agent handed it the work. The consent is then the first agent's.
    delegation = models.ForeignKey(
        "Delegation", on_delete=models.CASCADE, null=True, related_name="families", db_index=False
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
            # Few families have one.
            models.Index(
                fields=["delegation"], condition=models.Q(delegation__isnull=False), name="families_delegated_idx"
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    def granted_among(self, scopes: Iterable[str]) -> list[str]:
        """Return those of `scopes` that the user still grants to this family, or all if no user is involved."""
        if self.consent is None:
            return list(scopes)
        granted = self.consent.granted_scopes
        return [scope for scope in scopes if scope in granted and scope not in self.removed_scopes]


class Delegation(models.Model):
    """What an agent hands to another, of what a user allows the first agent of the chain: it only ever narrows.

    `consent` is the user's for the first agent, or the one that replaced it. `from_family` are the tokens of the agent
    that hands over, and `parent` the delegation by which that agent acts itself, None for the first agent. `path` are
    the ids of all delegations from the first agent to this one. `targets` and `limits` are as in the terms of a
    consent (`consent.terms`), and the limits also count what is handed on. `max_depth` bounds the length of a path.
    All that is below it has ended with it, without a mark of its own.
    """

    id = PrefixedIdField(prefix="del")
    consent = models.ForeignKey(Consent, on_delete=models.CASCADE, related_name="delegations", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="delegations")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="children")
    from_family = models.ForeignKey(TokenFamily, on_delete=models.CASCADE, related_name="delegations")
    from_agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="delegations_given", db_index=False)
    to_agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="delegations_received", db_index=False)
    path = models.JSONField()
    max_depth = models.PositiveSmallIntegerField()
    scopes = models.JSONField()
    targets = models.JSONField(default=dict)
    limits = models.JSONField(default=dict)
    # Calls by it belong to this task, too (`policies.rules.data_flow`). Empty for none.
    task = PlainTextField(max_length=200, blank=True)
    # The digest of the delegation token, which the receiving agent redeems once.
    token_digest = ExactCharField(max_length=64, unique=True)
    token_expires_at = models.DateTimeField()
    redeemed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["consent", "expires_at"], name="delegations_of_consent_idx"),
            models.Index(fields=["from_agent", "id"], name="delegations_given_idx"),
            models.Index(fields=["to_agent", "id"], name="delegations_received_idx"),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def depth(self) -> int:
        """How many delegations there are from the first agent to this one, which counts."""
        return len(self.path)


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
