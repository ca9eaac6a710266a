"""Issue the tokens of a family."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from agents.emergency import NOTICE
from agents.errors import EverythingStopped
from audit.events import Event
from consent.targets import Details
from core import clock, secrets
from core.actor import Actor
from core.chains import Link
from core.sql import insert
from resources.audiences import Service
from tokens.access_tokens import create_access_token, details_of
from tokens.chains import Handover, links_of, narrow_scopes
from tokens.families import REFRESH_TOKEN_LIFETIME, outlive_refresh_token, record_family
from tokens.models import AccessToken, RefreshToken, TokenFamily


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """Newly issued tokens. `refresh_token` is None for client credentials (RFC 6749 section 4.4.3)."""

    access_token: str
    refresh_token: str | None
    scopes: tuple[str, ...]
    family: TokenFamily
    chain: Sequence[Handover] = ()
    """The delegations by which the agent acts, if another agent handed it the work."""

    def __repr__(self) -> str:
        return f"IssuedTokens({self.family.id})"

    @property
    def expires_in(self) -> int:
        """The seconds until the access token expires: 15 minutes, or until its delegation ends."""
        return self._within(settings.ACCESS_TOKEN_LIFETIME)

    @property
    def refresh_expires_in(self) -> int:
        """The seconds until the refresh token expires: 30 days, or until its delegation ends."""
        return self._within(REFRESH_TOKEN_LIFETIME)

    @property
    def links(self) -> tuple[Link, ...]:
        """The agents of the chain, the one with the tokens last. Empty if nothing was handed over."""
        agent = self.family.application
        return links_of(self.chain, agent.id, agent.organization_id)

    def _within(self, lifetime: timedelta) -> int:
        end = end_of(self.family, self.chain)
        left = lifetime if end is None else max(timedelta(), min(lifetime, end - clock.now()))
        return int(left.total_seconds())

    @property
    def authorization_details(self) -> Details:
        """What the user grants for these scopes (RFC 9396 section 7)."""
        return details_of(self.family, self.scopes, self.chain)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no tokens were issued (RFC 6749 section 5.2). `detail` is for the developer and contains no secrets."""

    code: str
    detail: str


EVERYTHING_STOPPED = Refusal("everything_stopped", NOTICE)
OTHER_RESOURCE = Refusal("invalid_target", "The consent does not cover this resource.")
NOTHING_LEFT = Refusal("invalid_grant", "The agent may no longer use any of the delegated scopes.")
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
    chain: Sequence[Handover] = (),
) -> IssuedTokens:
    """Issue an access and a refresh token with those of `scopes` that the consent and the agent still allow.

    The family is stored too if it is new. `services` are those that its tokens reach. A family with a `chain` ends with
    its delegation, and has no more than that allows.
    """
    if not family._state.adding and not chain:
        outlive_refresh_token(family, now)
    granted = granted_scopes(family, scopes, chain)
    token, access_token = create_access_token(family=family, scopes=granted, resource=resource, now=now, chain=chain)
    refresh_token = secrets.new_secret("agr")
    successor = RefreshToken(
        family=family,
        application_id=family.application_id,
        user_id=family.user_id,
        token_checksum=secrets.digest(refresh_token),
        expires=family.expires_at if chain else now + REFRESH_TOKEN_LIFETIME,
    )
    _insert(family, token, successor)
    record_family(event, actor=actor, family=family, scopes=granted, services=services, now=now, chain=chain)
    return IssuedTokens(access_token, refresh_token, granted, family, chain)


def granted_scopes(family: TokenFamily, scopes: Sequence[str], chain: Sequence[Handover] = ()) -> tuple[str, ...]:
    """Return those of the scopes that the user, the agent's developer and the chain still allow the family."""
    granted = tuple(family.granted_among(family.application.allowed_among(scopes)))
    return narrow_scopes(chain, granted, family.consent.targets) if chain and family.consent else granted


def issue_access_token(
    *,
    actor: Actor,
    family: TokenFamily,
    scopes: Sequence[str],
    resource: Sequence[str],
    services: Sequence[Service],
    now: datetime,
    event: Event = Event.TOKEN_ISSUED,
    chain: Sequence[Handover] = (),
) -> IssuedTokens:
    """Store and return an access token without a refresh token, and its new family.

    It is for a client on its own, or for a delegation that ends before an access token would.
    """
    granted = granted_scopes(family, scopes, chain)
    token, access_token = create_access_token(family=family, scopes=granted, resource=resource, now=now, chain=chain)
    _insert(family, token)
    record_family(event, actor=actor, family=family, scopes=granted, services=services, now=now, chain=chain)
    return IssuedTokens(access_token, None, granted, family, chain)


def end_of(family: TokenFamily, chain: Sequence[Handover]) -> datetime | None:
    """Return when the delegations end by which the family's agent acts, or None if nothing was handed over."""
    ends = [each.expires_at for each in chain]
    return min([*ends, family.consent.expires_at]) if ends and family.consent else None


def _insert(family: TokenFamily, *tokens: AccessToken | RefreshToken) -> None:
    """Store the tokens, and the family if it is new."""
    insert(*((family,) if family._state.adding else ()), *tokens)
