"""Pushed authorization requests (RFC 9126), stored as pending consents."""

from agents.errors import UnknownClient
from consent.models import Consent
from oauth.parameters import Parameters

PREFIX = "urn:ietf:params:oauth:request_uri:"


def request_uri(consent: Consent) -> str:
    """Return the `request_uri` of the pushed request. The consent's id has 128 random bits (section 2.2)."""
    return f"{PREFIX}{consent.id}"


def pushed_consent(parameters: Parameters) -> Consent:
    """Return the request that this client pushed. Raises `UnknownClient` if there is none.

    The consent page checks whether it is still open. It can be decided only once, so the reference is single-use.
    """
    uri = parameters.get("request_uri")
    consents = Consent.objects.select_related("agent").filter(
        id=uri.removeprefix(PREFIX), agent__client_id=parameters.get("client_id")
    )
    consent = consents.first() if uri.startswith(PREFIX) and "\0" not in uri else None
    if consent is None:
        raise UnknownClient("This client has not pushed a request with this request_uri.")
    return consent
