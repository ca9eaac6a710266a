"""Pushed authorization requests (RFC 9126): the pending consent itself is what was pushed."""

from agents.errors import UnknownClient
from consent.models import Consent
from oauth.parameters import Parameters

PREFIX = "urn:ietf:params:oauth:request_uri:"


def request_uri(consent: Consent) -> str:
    """Return the reference to the pushed request; the consent's id has 128 random bits (section 2.2)."""
    return f"{PREFIX}{consent.id}"


def pushed_consent(parameters: Parameters) -> Consent:
    """Return the request pushed by this client. Raises `UnknownClient` for anything else.

    Whether it is still open the consent page says: it is decided once, and that makes the reference a single-use one.
    """
    uri = parameters.get("request_uri")
    consents = Consent.objects.select_related("agent").filter(
        id=uri.removeprefix(PREFIX), agent__client_id=parameters.get("client_id")
    )
    consent = consents.first() if uri.startswith(PREFIX) and "\0" not in uri else None
    if consent is None:
        raise UnknownClient("This client has not pushed such a request.")
    return consent
