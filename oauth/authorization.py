"""Check the whole authorization request (RFC 6749 section 4.1.1) before the user signs in.

Errors about the client or its redirect URI are shown to the user. All other errors are sent to the client.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from django.conf import settings

from accounts.models import User
from agents.errors import InvalidRedirectUri, UnknownClient
from agents.models import Agent
from agents.redirects import is_loopback, is_private_use, matches_registered
from consent.codes import is_challenge
from consent.details import AuthorizationDetail
from consent.models import Consent
from consent.redirects import add_to_query
from consent.selectors import live_consents_for_user, scopes_within_reach
from consent.services import ConsentRequest, request_consent
from core import clock
from core.actor import Actor
from core.errors import DomainError
from oauth.clients import find_client
from oauth.details import read_details
from oauth.errors import OAuthError, from_domain
from oauth.parameters import Parameters, is_clean
from resources.audiences import Audience, require_audiences
from resources.models import ResourceServer

# Clients may ask for it, but they always get refresh tokens.
OFFLINE = "offline_access"


@dataclass(frozen=True, slots=True)
class RedirectTarget:
    """The client, and the registered redirect URI to which the user returns with a code or an error."""

    agent: Agent
    redirect_uri: str
    state: str

    def refusal_url(self, error: OAuthError) -> str:
        """Return the redirect URI with the error, `state` and `iss` (RFC 9207)."""
        state = {"state": self.state} if self.state else {}
        return add_to_query(self.redirect_uri, {**error.parameters, **state, "iss": settings.JWT_ISSUER})

    def may_redirect(self, user: User | None) -> bool:
        """Return whether to redirect this user although no page of ours was shown (RFC 9700 section 4.11.2).

        Otherwise anyone who registers a client could use our address in a link to a website of theirs. A program on
        the user's device, an agent of a verified organization and an agent that is connected may get the redirect.
        """
        if is_loopback(self.redirect_uri) or is_private_use(self.redirect_uri):
            return True
        if not self.agent.may_act:
            return False
        if self.agent.organization is not None and self.agent.organization.is_verified:
            return True
        return user is not None and live_consents_for_user(user, clock.now()).filter(agent=self.agent).exists()


def find_redirect_target(parameters: Parameters, actor: Actor) -> RedirectTarget:
    """Return the client and its redirect URI. Raises `UnknownClient` or `InvalidRedirectUri`; then never redirect."""
    if {"client_id", "redirect_uri"} & set(parameters.repeated) or not is_clean(
        [parameters.get("client_id"), parameters.get("redirect_uri")]
    ):
        raise UnknownClient("client_id and redirect_uri must each appear only once, without control characters.")
    agent = find_client(parameters.get("client_id"), actor)
    redirect_uri = _redirect_uri(agent, parameters.get("redirect_uri"))
    state = parameters.get("state")
    return RedirectTarget(agent, redirect_uri, state if is_clean([state]) else "")


def make_consent(target: RedirectTarget, parameters: Parameters, actor: Actor, *, browser_digest: str = "") -> Consent:
    """Create the pending consent for one browser: this one, or the first one that opens a pushed request.

    Raises `OAuthError` with a code for the client.
    """
    parameters.check()
    _check_response(parameters)
    _check_challenge(parameters)
    audiences = _audiences(parameters)
    servers = [audience.server for audience in audiences if audience.server]
    details = read_details(parameters) or []
    request = ConsentRequest(
        scopes=_scopes(target.agent, servers, parameters, details),
        redirect_uri=target.redirect_uri,
        state=target.state,
        code_challenge=parameters.get("code_challenge"),
        resource=[audience.identifier for audience in audiences],
        authorization_details=details,
        door=Consent.Door.BROWSER,
        browser_digest=browser_digest,
    )
    try:
        return request_consent(actor=actor, agent=target.agent, request=request)
    except DomainError as error:
        raise from_domain(error) from error


def resource_identifiers(parameters: Parameters, *names: str) -> list[str]:
    """Return the requested audiences (RFC 8707 section 2) in canonical form. Raises `invalid_target`.

    `names` are other parameters with audiences.
    """
    return list(dict.fromkeys(audience.identifier for audience in _audiences(parameters, *names)))


def _redirect_uri(agent: Agent, asked: str) -> str:
    """Return the redirect URI. It may be omitted if exactly one is registered, unless that is on a loopback host."""
    registered = agent.redirect_uri_list
    if asked and matches_registered(asked, registered):
        return asked
    if not asked and len(registered) == 1 and not is_loopback(registered[0]):
        return registered[0]
    raise InvalidRedirectUri("The redirect_uri must exactly match one that is registered for this client.")


def _check_response(parameters: Parameters) -> None:
    if parameters.get("request"):
        _refuse(
            "request_not_supported", "Request objects are not supported. Use a pushed authorization request (RFC 9126)."
        )
    response_type = parameters.require("response_type")
    if response_type != "code":
        _refuse("unsupported_response_type", "Only response_type=code is supported.")
    if parameters.get("response_mode") not in ("", "query"):
        _refuse("invalid_request", "Only response_mode=query is supported.")


def _check_challenge(parameters: Parameters) -> None:
    """Require PKCE with S256 from every client (OAuth 2.1 section 7.5.1)."""
    if not parameters.get("code_challenge"):
        _refuse("invalid_request", "code_challenge is missing (RFC 7636).")
    if parameters.get("code_challenge_method") != "S256":
        _refuse("invalid_request", "code_challenge_method must be S256.")
    if not is_challenge(parameters.get("code_challenge")):
        _refuse("invalid_request", "code_challenge must be a SHA-256 digest in base64url (43 characters).")


def _audiences(parameters: Parameters, *names: str) -> list[Audience]:
    try:
        return require_audiences([value for name in ("resource", *names) for value in parameters.all(name)])
    except DomainError as error:
        raise from_domain(error) from error


def _scopes(
    agent: Agent, servers: list[ResourceServer], parameters: Parameters, details: Sequence[AuthorizationDetail]
) -> list[str]:
    """Return the requested scopes. Without any, those that the details name.

    Without these, all within the client's reach, unless that is the catalogue.
    """
    asked = [scope for scope in parameters.words("scope") if scope != OFFLINE]
    if "openid" in asked:
        _refuse("invalid_scope", "openid is not supported: this server does not issue ID tokens.")
    asked = asked or list(dict.fromkeys(action for detail in details for action in detail.actions))
    if not asked and (servers or not agent.is_stock):
        return scopes_within_reach(agent, servers)
    return asked


def _refuse(code: str, description: str) -> NoReturn:
    raise OAuthError(code, description)
