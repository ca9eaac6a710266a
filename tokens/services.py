"""Approving, exchanging, refreshing, revoking: what turns a consent into tokens and tokens into nothing.

Both doors, the JSON API and OAuth, call these. What a replay ends must stay ended, so `exchange_code` and
`refresh_tokens` return a `Refusal` and never raise it: an exception would roll the ending back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts.models import User
from agents.models import Agent
from audit.events import Event, Outcome
from audit.services import Draft, append
from consent import services as consent_services
from consent.models import Consent
from consent.redirects import redirect_url
from core import clock, secrets
from core.actor import Actor
from core.locks import revocation
from developers.models import Organization
from developers.selectors import resource_server_for_identifier
from tokens.access_tokens import create_access_token, read_access_token
from tokens.models import AccessToken, AuthorizationCode, RefreshToken, TokenFamily
from tokens.pkce import verifier_matches

# Expired rows stay a day, so that a late question about them is still answered with their organization.
KEEP_EXPIRED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Approval:
    """An approved consent with its code, which is shown this once, and where to send the person."""

    consent: Consent
    code: str
    redirect_url: str

    def __repr__(self) -> str:
        return f"Approval({self.consent.id})"


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """A new pair. `refresh_token` is None for a client on its own (RFC 6749 section 4.4.3)."""

    access_token: str
    refresh_token: str | None
    scopes: tuple[str, ...]
    family: TokenFamily

    def __repr__(self) -> str:
        return f"IssuedTokens({self.family.id})"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there are no tokens (RFC 6749 section 5.2). `detail` is for the developer and tells no secret."""

    code: str
    detail: str


@transaction.atomic
def approve(*, actor: Actor, consent: Consent, user: User, scopes: Sequence[str] | None = None) -> Approval:
    """Grant the scopes, all that were requested by default, and issue the code. Raises as `approve_consent` does."""
    now = clock.now()
    consent = consent_services.approve_consent(actor=actor, consent=consent, user=user, scopes=scopes, now=now)
    code = secrets.new_secret("agcode")
    AuthorizationCode.objects.create(
        code=secrets.digest(code),
        application=consent.agent,
        user=user,
        consent=consent,
        expires=now + settings.AUTHORIZATION_CODE_LIFETIME,
        redirect_uri=consent.redirect_uri,
        scope=" ".join(consent.granted_scopes),
        code_challenge=consent.code_challenge,
        code_challenge_method="S256" if consent.code_challenge else "",
        resource=consent.resource or [settings.API_URL],
    )
    return Approval(consent, code, redirect_url(consent, {"code": code}))


def deny(*, actor: Actor, consent: Consent, user: User) -> tuple[Consent, str]:
    """Refuse the request; return the consent and where to send the person. Raises as `deny_consent` does."""
    consent = consent_services.deny_consent(actor=actor, consent=consent, user=user)
    return consent, redirect_url(consent, {"error": "access_denied"})


@transaction.atomic
def exchange_code(
    *,
    actor: Actor,
    agent: Agent,
    code: str,
    code_verifier: str = "",
    redirect_uri: str | None = None,
    resource: Sequence[str] = (),
) -> IssuedTokens | Refusal:
    """Redeem a code once (RFC 6749 section 4.1.3, RFC 7636 section 4.6). A second use ends what the first issued.

    `redirect_uri=None` means it was left out, as OAuth 2.1 has it. `resource` may narrow the access token's audience
    (RFC 8707 section 2.2).
    """
    rows = AuthorizationCode.objects.select_for_update(of=("self",)).select_related(
        "consent__agent__organization", "user", "family"
    )
    row = rows.filter(code=secrets.digest(code)).first()
    now = clock.now()
    if row is None or row.application_id != agent.id:
        return Refusal("invalid_grant", "The code is unknown, expired or used.")
    if row.consumed_at is not None:
        _end_family(row.family, actor=actor, event=Event.TOKEN_REPLAYED, metadata={"kind": "code"}, now=now)
        return Refusal("invalid_grant", "The code is unknown, expired or used.")
    problem = _problem_with_code(row, code_verifier, redirect_uri, now) or _problem_with_grant(row.consent, now)
    if problem:
        return Refusal("invalid_grant", problem)
    if not set(resource) <= set(row.resource):
        return Refusal("invalid_target", "The consent is for another resource.")
    family = TokenFamily.objects.create(
        application=row.application,
        user=row.user,
        consent=row.consent,
        scope=row.scope,
        resource=row.resource,
        created_at=now,
    )
    AuthorizationCode.objects.filter(pk=row.pk).update(consumed_at=now, family=family)
    return _issue_pair(
        Event.TOKEN_ISSUED,
        actor=actor,
        family=family,
        user=row.user,
        scopes=row.scope.split(),
        resource=resource,
        now=now,
    )


@transaction.atomic
def refresh_tokens(
    *,
    actor: Actor,
    agent: Agent,
    refresh_token: str,
    scopes: Sequence[str] | None = None,
    resource: Sequence[str] = (),
) -> IssuedTokens | Refusal:
    """Rotate a refresh token (RFC 9700 section 4.14.2). A second use ends the whole family.

    `scopes` and `resource` may narrow the new access token; the family keeps what it had. None and nothing ask for
    all of it.
    """
    found = RefreshToken.objects.filter(token_checksum=secrets.digest(refresh_token)).first()
    if found is None or found.application_id != agent.id:
        return Refusal("invalid_grant", "The refresh token is unknown, expired or used.")
    # The family's row is the one lock: refresh against refresh, and refresh against revoke.
    families = TokenFamily.objects.select_for_update(of=("self",)).select_related(
        "consent__agent__organization", "application", "user"
    )
    family = families.get(pk=found.family_id)
    row, now = RefreshToken.objects.get(pk=found.pk), clock.now()
    if row.consumed_at is not None:
        _end_family(family, actor=actor, event=Event.TOKEN_REPLAYED, metadata={"kind": "refresh"}, now=now)
        return Refusal("invalid_grant", "The refresh token is unknown, expired or used.")
    if family.revoked_at is not None or row.expires <= now or family.consent is None:
        return Refusal("invalid_grant", "The refresh token is unknown, expired or used.")
    problem = _problem_with_grant(family.consent, now)
    if problem:
        return Refusal("invalid_grant", problem)
    wanted = family.scope.split() if scopes is None else list(scopes)
    if not set(wanted) <= set(family.scope.split()):
        return Refusal("invalid_scope", "A refresh can narrow the scope, not widen it.")
    if not set(resource) <= set(family.resource):
        return Refusal("invalid_target", "The consent is for another resource.")
    RefreshToken.objects.filter(pk=row.pk).update(consumed_at=now)
    return _issue_pair(
        Event.TOKEN_REFRESHED, actor=actor, family=family, user=row.user, scopes=wanted, resource=resource, now=now
    )


@transaction.atomic
def issue_client_token(
    *, actor: Actor, agent: Agent, scopes: Sequence[str], resource: Sequence[str] = ()
) -> IssuedTokens | Refusal:
    """Issue an access token to a confidential agent of its own (RFC 6749 section 4.4), without a person.

    It reaches its own organization only; a stock client has none, and so gets nothing.
    """
    organization = agent.organization
    if agent.is_suspended or not agent.is_confidential or organization is None or organization.suspended_at:
        return Refusal("unauthorized_client", "This client may not act on its own.")
    if not all(_is_own_resource(organization, identifier) for identifier in resource):
        return Refusal("invalid_target", "A client on its own reaches the resource servers of its organization.")
    wanted = list(scopes) or list(agent.allowed_scopes)
    if not wanted or not set(wanted) <= set(agent.allowed_scopes):
        return Refusal("invalid_scope", "The agent is not registered for that scope.")
    now = clock.now()
    family = TokenFamily.objects.create(
        application=agent,
        scope=" ".join(wanted),
        resource=list(resource) or [settings.API_URL],
        created_at=now,
    )
    _, access_token = create_access_token(family=family, scopes=wanted, now=now)
    _record(Event.TOKEN_ISSUED, actor=actor, family=family, scopes=wanted, now=now)
    return IssuedTokens(access_token, None, tuple(wanted), family)


def revoke_token(*, actor: Actor, token: str, agent: Agent | None = None) -> bool:
    """End the family of an access or refresh token (RFC 7009); return False when nothing of the kind is live.

    With `agent` given, another client's token is left alone.
    """
    family = _family_of(token)
    if family is None or (agent is not None and family.application_id != agent.id):
        return False
    with revocation():
        return _end_family(family, actor=actor, event=Event.TOKEN_REVOKED, metadata={}, now=clock.now())


def revoke_family(*, actor: Actor, family: TokenFamily, reason: str) -> bool:
    """End a family by an administrator's hand; return False if it had ended before."""
    with revocation():
        return _end_family(family, actor=actor, event=Event.TOKEN_REVOKED, metadata={"reason": reason}, now=clock.now())


def delete_expired_tokens(*, limit: int = 500) -> int:
    """Delete up to `limit` each of codes, tokens and families that nobody can use any more; return how many."""
    long_ago = clock.now() - KEEP_EXPIRED
    total = 0
    for model in (AuthorizationCode, AccessToken, RefreshToken):
        expired = model.objects.filter(expires__lte=long_ago).values_list("pk", flat=True)[:limit]
        total += model.objects.filter(pk__in=list(expired)).delete()[0]
    empty = TokenFamily.objects.filter(
        created_at__lte=long_ago, access_tokens=None, refresh_tokens=None, authorizationcode=None
    )
    pks = list(empty.values_list("pk", flat=True)[:limit])
    return total + TokenFamily.objects.filter(pk__in=pks).delete()[0]


def _issue_pair(
    event: Event,
    *,
    actor: Actor,
    family: TokenFamily,
    user: User,
    scopes: Sequence[str],
    resource: Sequence[str],
    now: datetime,
) -> IssuedTokens | Refusal:
    live = family.consent.live_scopes() if family.consent else []
    scopes = [scope for scope in scopes if scope in live]
    if not scopes:
        return Refusal("invalid_grant", "Nothing that was granted is allowed to this agent any more.")
    _, access_token = create_access_token(family=family, scopes=scopes, resource=resource, now=now)
    refresh_token = secrets.new_secret("agr")
    RefreshToken.objects.create(
        family=family,
        application=family.application,
        user=user,
        token_checksum=secrets.digest(refresh_token),
        expires=now + settings.REFRESH_TOKEN_LIFETIME,
    )
    _record(event, actor=actor, family=family, scopes=scopes, now=now)
    return IssuedTokens(access_token, refresh_token, tuple(scopes), family)


def _is_own_resource(organization: Organization, identifier: str) -> bool:
    server = resource_server_for_identifier(identifier)
    return identifier == settings.API_URL or (server is not None and server.organization_id == organization.id)


def _problem_with_code(
    row: AuthorizationCode, code_verifier: str, redirect_uri: str | None, now: datetime
) -> str | None:
    if row.expires <= now:
        return "The code is unknown, expired or used."
    if redirect_uri is not None and redirect_uri != row.redirect_uri:
        return "The redirect URI differs from the one in the request."
    if not row.code_challenge:
        # A verifier without a challenge means that somebody stripped it (RFC 9700 section 4.8.2).
        return "The request had no code challenge." if code_verifier else None
    if not verifier_matches(code_verifier, row.code_challenge):
        return "The code verifier does not match the challenge."
    return None


def _problem_with_grant(consent: Consent, now: datetime) -> str | None:
    """Return why the grant yields no tokens now. None when it does."""
    organization = consent.agent.organization
    if consent.agent.is_suspended or (organization and organization.suspended_at):
        return "The agent is suspended."
    if consent.user is None or not consent.user.is_active:
        return "The person is not active."
    if consent.status_at(now) != Consent.Status.APPROVED:
        return "The consent has ended."
    return None


def _end_family(
    family: TokenFamily | None, *, actor: Actor, event: Event, metadata: Mapping[str, Any], now: datetime
) -> bool:
    """End the family once. Danger: call it last in the transaction, for a revocation takes a lock at its end."""
    if family is None:
        return False
    with revocation():
        ended = bool(TokenFamily.objects.filter(pk=family.pk, revoked_at__isnull=True).update(revoked_at=now))
        if ended:
            _record(event, actor=actor, family=family, scopes=(), now=now, metadata=metadata)
    return ended


def _family_of(token: str) -> TokenFamily | None:
    families = TokenFamily.objects.select_related("application", "consent")
    claims = read_access_token(token)
    if claims is not None:
        return families.filter(access_tokens__id=claims.token_id).first()
    return families.filter(refresh_tokens__token_checksum=secrets.digest(token)).first()


def _record(
    event: Event,
    *,
    actor: Actor,
    family: TokenFamily,
    scopes: Sequence[str],
    now: datetime,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    draft = Draft(
        event=event,
        actor=actor,
        outcome=Outcome.DENIED if event is Event.TOKEN_REPLAYED else Outcome.INFO,
        organization_id=family.consent.organization_id if family.consent else family.application.organization_id,
        user_id=family.user_id,
        agent_id=family.application_id,
        consent_id=family.consent_id,
        scopes=tuple(scopes),
        metadata={"familyId": family.id, **(metadata or {})},
    )
    append([draft], at=now)
