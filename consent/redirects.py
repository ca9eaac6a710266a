"""URLs that redirect the user back to the agent (RFC 6749 section 4.1.2, RFC 9207)."""

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

from django.conf import settings
from django.utils.translation import gettext_noop

from agents.errors import InvalidRedirectUri
from agents.redirects import matches_registered
from consent.models import Consent


def redirect_url(consent: Consent, answer: Mapping[str, str]) -> str:
    """Return the consent's redirect URI with `answer`, the agent's `state` and our `iss` in its query."""
    return add_to_query(consent.redirect_uri, {**answer, **_echo(consent), "iss": settings.JWT_ISSUER})


def denial_url(consent: Consent) -> str:
    """Return the URL to redirect the user to after denying the request."""
    return redirect_url(consent, {"error": "access_denied"})


def require_registered_redirect(consent: Consent) -> None:
    """Raise `InvalidRedirectUri` if the agent no longer has the redirect URI of the request."""
    if not matches_registered(consent.redirect_uri, consent.agent.redirect_uri_list):
        raise InvalidRedirectUri(
            gettext_noop("This redirect URI is no longer registered for the agent. Start again at the agent.")
        )


def add_to_query(uri: str, parameters: Mapping[str, str]) -> str:
    """Return `uri` with the parameters appended to its query."""
    parts = urlsplit(uri)
    query = "&".join(piece for piece in (parts.query, urlencode(parameters)) if piece)
    return urlunsplit(parts._replace(query=query))


def _echo(consent: Consent) -> dict[str, str]:
    return {"state": consent.state} if consent.state else {}
