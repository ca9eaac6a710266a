"""Find the client that a request names, including clients known only by their metadata document.

The client id of such a client is the https URL of its document (draft-ietf-oauth-client-id-metadata-document).
"""

import logging
import re
from datetime import timedelta

from django.conf import settings

from agents.errors import UnknownClient
from agents.models import Agent
from agents.registration import save_metadata_client
from agents.selectors import agent_for_client_id
from core import clock
from core.actor import Actor
from oauth.client_metadata import parse_client_metadata
from oauth.documents import DocumentUnavailable, fetch_document
from oauth.errors import OAuthError

logger = logging.getLogger(__name__)

DOCUMENT_METHODS = (Agent.AuthMethod.NONE, Agent.AuthMethod.PRIVATE_KEY_JWT)
MAX_CLIENT_ID_LENGTH = 255
DOCUMENT_URL = re.compile(r"https://[!-~]+")


def find_client(client_id: str, actor: Actor) -> Agent:
    """Return the client. Fetch its document if we have none or an old one.

    Raises `UnknownClient`, `Throttled`, and `TooManyFetches` if the document cannot be fetched now.
    """
    agent = agent_for_client_id(client_id) if 0 < len(client_id) <= MAX_CLIENT_ID_LENGTH else None
    if agent is not None and (not is_document_url(client_id) or _is_fresh(agent)):
        return agent
    if not is_document_url(client_id) or not settings.OAUTH_CLIENT_METADATA_DOCUMENTS:
        raise UnknownClient("No client has this client_id.")
    return _fetch_client(client_id, actor)


def is_document_url(client_id: str) -> bool:
    """Return whether a client id can be the URL of a metadata document.

    It must be printable ASCII, because users see its host and other scripts have letters that look alike.
    """
    return DOCUMENT_URL.fullmatch(client_id) is not None and len(client_id) <= MAX_CLIENT_ID_LENGTH


def _is_fresh(agent: Agent) -> bool:
    return agent.cimd_expires_at is None or agent.cimd_expires_at > clock.now()


def _fetch_client(client_id: str, actor: Actor) -> Agent:
    """Fetch the document and save the client."""
    try:
        document, max_age = fetch_document(client_id, actor)
        if document.get("client_id") != client_id:
            raise OAuthError("invalid_client_metadata", "The document's client_id must equal its URL.")
        if "client_secret" in document or "client_secret_expires_at" in document:
            raise OAuthError("invalid_client_metadata", "The document must not contain a client secret.")
        metadata = parse_client_metadata(document, DOCUMENT_METHODS, Agent.AuthMethod.NONE)
    except (DocumentUnavailable, OAuthError) as error:
        logger.info("no client metadata from %s: %s", client_id, error)
        raise UnknownClient("The client's metadata document could not be fetched or is not valid.") from error
    fresh_until = clock.now() + timedelta(seconds=max_age)
    return save_metadata_client(actor=actor, client_id=client_id, metadata=metadata, fresh_until=fresh_until)
