"""Issue the tokens of a family."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agents.emergency import NOTICE
from agents.errors import EverythingStopped
from audit.events import Event
from consent.targets import Details
from core import secrets
from core.actor import Actor
from core.sql import insert
from resources.audiences import Service
from tokens.access_tokens import create_access_token
from tokens.families import REFRESH_TOKEN_LIFETIME, outlive_refresh_token, record_family
from tokens.models import AccessToken, RefreshToken, TokenFamily


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """Newly issued tokens. `refresh_token` is None for client credentials (RFC 6749 section 4.4.3)."""

    access_token: str
    refresh_token: str | None
    scopes: tuple[str, ...]
    family: TokenFamily

    def __repr__(self) -> str:
        return f"IssuedTokens({self.family.id})"

    @property
    def authorization_details(self) -> Details:
        """What the user grants for these scopes (RFC 9396 section 7)."""
        return self.family.details_of(self.scopes)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no tokens were issued (RFC 6749 section 5.2). `detail` is for the developer and contains no secrets."""

    code: str
    detail: str


EVERYTHING_STOPPED = Refusal("everything_stopped", NOTICE)
OTHER_RESOURCE = Refusal("invalid_target", "The consent does not cover this resource.")
OTHER_DETAILS = Refusal(
    "invalid_authorization_details",
    "A token has all details that the user granted for its scopes. Send exactly these, or leave out the parameter.",
)


def require_issued(outcome: IssuedTokens | Refusal) -> IssuedTokens | Refusal:
    """Return the outcome. Raises `EverythingStopped` for that refusal, as a client should try again later.

    Call it after the transaction, which an exception would roll back.
    """
    if outcome is EVERYTHING_STOPPED:
        raise EverythingStopped(NOTICE)
    return outcome


def issue_pair(
    event: Event,
    *,
    actor: Actor,
    family: TokenFamily,
    scopes: Sequence[str],
    resource: Sequence[str],
    services: Sequence[Service],
    now: datetime,
) -> IssuedTokens:
    """Issue an access and a refresh token with those of `scopes` that the consent and the agent still allow.

    The family is stored too if it is new. `services` are those that its tokens reach.
    """
    if not family._state.adding:
        outlive_refresh_token(family, now)
    granted = tuple(family.granted_among(family.application.allowed_among(scopes)))
    token, access_token = create_access_token(family=family, scopes=granted, resource=resource, now=now)
    refresh_token = secrets.new_secret("agr")
    successor = RefreshToken(
        family=family,
        application_id=family.application_id,
        user_id=family.user_id,
        token_checksum=secrets.digest(refresh_token),
        expires=now + REFRESH_TOKEN_LIFETIME,
    )
    _insert(family, token, successor)
    record_family(event, actor=actor, family=family, scopes=granted, services=services, now=now)
    return IssuedTokens(access_token, refresh_token, granted, family)


def issue_access_token(
    *,
    actor: Actor,
    family: TokenFamily,
    scopes: Sequence[str],
    resource: Sequence[str],
    services: Sequence[Service],
    now: datetime,
) -> IssuedTokens:
    """Store and return an access token without a refresh token, and its new family, for a client on its own."""
    token, access_token = create_access_token(family=family, scopes=scopes, resource=resource, now=now)
    _insert(family, token)
    record_family(Event.TOKEN_ISSUED, actor=actor, family=family, scopes=scopes, services=services, now=now)
    return IssuedTokens(access_token, None, tuple(scopes), family)


def _insert(family: TokenFamily, *tokens: AccessToken | RefreshToken) -> None:
    """Store the tokens, and the family if it is new."""
    insert(*((family,) if family._state.adding else ()), *tokens)
