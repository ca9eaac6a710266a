"""Approving, exchanging, refreshing, revoking: what turns a consent into tokens and tokens into nothing.

Both doors, the JSON API and OAuth, call these. What a replay ends must stay ended, so `exchange_code` and
`refresh_tokens` return a `Refusal` and never raise it: an exception would roll the ending back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from accounts.models import User
from accounts.selectors import require_verified_address
from accounts.services import hold_account
from agents.models import Agent
from audit.events import Event
from consent import services as consent_services
from consent.connections import ALL_REQUESTED, Choice
from consent.models import Consent
from consent.redirects import redirect_url
from core import clock, secrets
from core.actor import Actor
from core.locks import revocation
from developers.models import Organization
from resources.audiences import audience_for_identifier
from tokens.families import end_family, family_of, move_tokens, problem_with_grant
from tokens.issuing import (
    OTHER_RESOURCE,
    UNUSABLE_CODE,
    UNUSABLE_REFRESH_TOKEN,
    WIDER_SCOPE,
    IssuedTokens,
    Refusal,
    issue_access_token,
    issue_pair,
)
from tokens.models import AccessToken, AuthorizationCode, RefreshToken, TokenFamily
from tokens.pkce import verifier_matches
from tokens.repeats import RefreshRequest, delete_old_answers, forget_answers, keep_answer, kept_answer

__all__ = [
    "Approval",
    "IssuedTokens",
    "Refusal",
    "approve",
    "delete_expired_tokens",
    "deny",
    "exchange_code",
    "issue_client_token",
    "refresh_tokens",
    "revoke_family",
    "revoke_token",
]

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


@transaction.atomic
def approve(*, actor: Actor, consent: Consent, user: User, choice: Choice = ALL_REQUESTED) -> Approval:
    """Grant what the person chose and issue the code. Raises as `approve_consent` does.

    The code yields what was requested and granted; it gets nothing of what other devices asked for. When a consent is
    replaced, something may be taken away: then no verify that starts after this rests on the earlier one.
    """
    user = hold_account(user)
    now = clock.now()
    require_verified_address(user)
    consent, replaced = consent_services.approve_consent(
        actor=actor, consent=consent, user=user, choice=choice, now=now
    )
    code = _issue_code(consent, user, now)
    if replaced is not None:
        with revocation():
            move_tokens(source=replaced, target=consent)
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
    row = _lock_code(code)
    now = clock.now()
    if row is None or row.application_id != agent.id:
        return UNUSABLE_CODE
    if row.consumed_at is not None:
        return _replayed(row.family, UNUSABLE_CODE, actor=actor, kind="code", now=now)
    problem = _problem_with_code(row, code_verifier, redirect_uri, now) or problem_with_grant(
        row.consent, row.resource, now
    )
    if problem:
        return Refusal("invalid_grant", problem)
    if not set(resource) <= set(row.resource):
        return OTHER_RESOURCE
    family = _start_family(row, now)
    scopes = row.scope.split()
    return issue_pair(
        Event.TOKEN_ISSUED, actor=actor, family=family, user=row.user, scopes=scopes, resource=resource, now=now
    )


@transaction.atomic
def refresh_tokens(
    *,
    actor: Actor,
    agent: Agent,
    refresh_token: str,
    scopes: Sequence[str] | None = None,
    resource: Sequence[str] = (),
    is_repeatable: bool = False,
) -> IssuedTokens | Refusal:
    """Rotate a refresh token (RFC 9700 section 4.14.2). A second use ends the whole family.

    `scopes` and `resource` may narrow the new access token; the family keeps what it had. None and nothing ask for
    all of it. With `is_repeatable` the same request gets the same answer for `REFRESH_REPEAT_LIFETIME`, as long as
    what it yielded is unused (ADR 7).
    """
    row = _lock_refresh_token(refresh_token)
    now = clock.now()
    if row is None or row.application_id != agent.id:
        return UNUSABLE_REFRESH_TOKEN
    request = RefreshRequest(scopes, resource)
    if row.consumed_at is not None:
        return _repeat(row, request, actor=actor, is_repeatable=is_repeatable, now=now)
    problem = _problem_with_refresh(row, request, now)
    if problem:
        return problem
    family = row.family
    forget_answers(family)
    RefreshToken.objects.filter(pk=row.pk).update(consumed_at=now)
    wanted = family.scope.split() if scopes is None else list(scopes)
    issued = issue_pair(
        Event.TOKEN_REFRESHED, actor=actor, family=family, user=row.user, scopes=wanted, resource=resource, now=now
    )
    if is_repeatable:
        keep_answer(row, request, issued)
    return issued


@transaction.atomic
def issue_client_token(
    *, actor: Actor, agent: Agent, scopes: Sequence[str], resource: Sequence[str] = ()
) -> IssuedTokens | Refusal:
    """Issue an access token to a confidential agent of its own (RFC 6749 section 4.4), without a person.

    It reaches its own organization only; a stock client has none, and so gets nothing.
    """
    organization = agent.organization
    if not agent.may_act or not agent.is_confidential or organization is None:
        return Refusal("unauthorized_client", "This client may not act on its own.")
    if not all(_is_own_resource(organization, identifier) for identifier in resource):
        return Refusal("invalid_target", "A client on its own reaches the resource servers of its organization.")
    wanted = list(scopes) or list(agent.allowed_scopes)
    if not wanted or not set(wanted) <= set(agent.allowed_scopes):
        return Refusal("invalid_scope", "The agent is not registered for that scope.")
    now = clock.now()
    audience = list(resource) or [settings.API_URL]
    family = TokenFamily.objects.create(application=agent, scope=" ".join(wanted), resource=audience, created_at=now)
    return issue_access_token(actor=actor, family=family, scopes=wanted, resource=resource, now=now)


def revoke_token(*, actor: Actor, token: str, agent: Agent | None = None) -> bool:
    """End the family of an access or refresh token (RFC 7009); return False when nothing of the kind is live.

    With `agent` given, another client's token is left alone.
    """
    family = family_of(token)
    if family is None or (agent is not None and family.application_id != agent.id):
        return False
    return end_family(family, actor=actor, event=Event.TOKEN_REVOKED, now=clock.now())


def revoke_family(*, actor: Actor, family: TokenFamily, reason: str) -> bool:
    """End a family by an administrator's hand; return False if it had ended before."""
    metadata = {"reason": reason}
    return end_family(family, actor=actor, event=Event.TOKEN_REVOKED, now=clock.now(), metadata=metadata)


def delete_expired_tokens(*, limit: int = 500) -> int:
    """Delete up to `limit` each of codes, tokens, families and kept answers that are of no use; return how many."""
    now = clock.now()
    long_ago = now - KEEP_EXPIRED
    total = delete_old_answers(now=now, limit=limit)
    for model in (AuthorizationCode, AccessToken, RefreshToken):
        total += _sweep(model.objects.filter(expires__lte=long_ago), limit)
    empty = TokenFamily.objects.filter(
        created_at__lte=long_ago, access_tokens=None, refresh_tokens=None, authorizationcode=None
    )
    return total + _sweep(empty, limit)


@transaction.atomic
def _sweep(rows: QuerySet[Any], limit: int) -> int:
    """Delete up to `limit` of the rows; return how many rows are gone.

    It skips what others hold, such as an approval that moves families: it waits for nobody, so it cannot deadlock.
    """
    free = rows.select_for_update(of=("self",), skip_locked=True).order_by("pk").values_list("pk", flat=True)
    return int(rows.model._default_manager.filter(pk__in=list(free[:limit])).delete()[0])


def _issue_code(consent: Consent, user: User, now: datetime) -> str:
    code = secrets.new_secret("agcode")
    AuthorizationCode.objects.create(
        code=secrets.digest(code),
        application=consent.agent,
        user=user,
        consent=consent,
        expires=now + settings.AUTHORIZATION_CODE_LIFETIME,
        redirect_uri=consent.redirect_uri,
        scope=" ".join(scope for scope in consent.requested_scopes if scope in consent.granted_scopes),
        code_challenge=consent.code_challenge,
        code_challenge_method="S256" if consent.code_challenge else "",
        resource=consent.resource or [settings.API_URL],
    )
    return code


def _lock_code(code: str) -> AuthorizationCode | None:
    """Return the code as it is once it is locked, with the consent that it belongs to then.

    Danger: two queries, for an approval may move the code meanwhile. PostgreSQL would try the moved row against the
    earlier consent's, and find nothing.
    """
    if AuthorizationCode.objects.select_for_update().filter(code=secrets.digest(code)).first() is None:
        return None
    related = ("application", "consent__agent__organization", "consent__user", "user", "family__consent")
    return AuthorizationCode.objects.select_related(*related).filter(code=secrets.digest(code)).first()


def _lock_refresh_token(refresh_token: str) -> RefreshToken | None:
    """Return the token as it is once its family is locked: refresh against refresh, and refresh against revoke."""
    found = RefreshToken.objects.filter(token_checksum=secrets.digest(refresh_token)).first()
    if found is None:
        return None
    # The sweep may have deleted both since; then there is nothing to lock and nothing to return.
    TokenFamily.objects.select_for_update(of=("self",)).filter(pk=found.family_id).first()
    rows = RefreshToken.objects.select_related(
        "user", "family__application", "family__consent__agent__organization", "family__consent__user"
    )
    return rows.filter(pk=found.pk).first()


def _problem_with_refresh(row: RefreshToken, request: RefreshRequest, now: datetime) -> Refusal | None:
    """Return why an unused refresh token yields nothing for the request. None when it does."""
    family = row.family
    if family.revoked_at is not None or row.expires <= now:
        return UNUSABLE_REFRESH_TOKEN
    problem = problem_with_grant(family.consent, family.resource, now)
    if problem:
        return Refusal("invalid_grant", problem)
    if not set(request.scopes or ()) <= set(family.scope.split()):
        return WIDER_SCOPE
    if not set(request.resource) <= set(family.resource):
        return OTHER_RESOURCE
    return None


def _repeat(
    row: RefreshToken, request: RefreshRequest, *, actor: Actor, is_repeatable: bool, now: datetime
) -> IssuedTokens | Refusal:
    """Answer the second use of a refresh token: what the first got if that may be repeated, else the family ends."""
    kept = kept_answer(row, request, now) if is_repeatable else None
    if kept is None:
        return _replayed(row.family, UNUSABLE_REFRESH_TOKEN, actor=actor, kind="refresh", now=now)
    problem = _problem_with_refresh(row, request, now)
    if problem:
        return problem
    family = row.family
    still_granted = family.granted_among(family.application.allowed_among(kept.scopes))
    return kept if list(kept.scopes) == still_granted else UNUSABLE_REFRESH_TOKEN


def _start_family(row: AuthorizationCode, now: datetime) -> TokenFamily:
    """Spend the code on a family of its own."""
    family = TokenFamily.objects.create(
        application=row.application,
        user=row.user,
        consent=row.consent,
        scope=row.scope,
        resource=row.resource,
        created_at=now,
    )
    AuthorizationCode.objects.filter(pk=row.pk).update(consumed_at=now, family=family)
    return family


def _replayed(family: TokenFamily | None, refusal: Refusal, *, actor: Actor, kind: str, now: datetime) -> Refusal:
    """End what the first use issued: one of the two who used it is a thief (RFC 9700 section 4.14.2)."""
    if family is not None:
        end_family(family, actor=actor, event=Event.TOKEN_REPLAYED, now=now, metadata={"kind": kind})
    return refusal


def _is_own_resource(organization: Organization, identifier: str) -> bool:
    audience = audience_for_identifier(identifier)
    if audience is None:
        return False
    return audience.server is None or audience.server.organization_id == organization.id


def _problem_with_code(
    row: AuthorizationCode, code_verifier: str, redirect_uri: str | None, now: datetime
) -> str | None:
    if row.expires <= now:
        return UNUSABLE_CODE.detail
    if redirect_uri is not None and redirect_uri != row.redirect_uri:
        return "The redirect URI differs from the one in the request."
    if not row.code_challenge:
        # A verifier without a challenge means that somebody stripped it (RFC 9700 section 4.8.2).
        return "The request had no code challenge." if code_verifier else None
    if not verifier_matches(code_verifier, row.code_challenge):
        return "The code verifier does not match the challenge."
    return None
