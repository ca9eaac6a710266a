"""Code that protects a service, with the real ids of a resource server: for each framework of the SDK, and for curl.

The code does not contain the secret, which it reads from the environment variable `AGENTGATE_RESOURCE_SERVER_SECRET`.
The templates are in `templates/web/portal/services/snippets/`. Values are JSON strings, which Python reads too, or
quoted for a shell.
"""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from core.text import plain_text
from resources.catalogue import catalogue
from resources.models import ResourceServer

# Their names are the same in every language.
FRAMEWORKS: Mapping[str, str] = {
    "django": "Django",
    "drf": "REST framework",
    "fastapi": "FastAPI",
    "flask": "Flask",
    "fastmcp": "FastMCP",
}
KINDS: Mapping[str, Promise | str] = {
    **FRAMEWORKS,
    "verify": _("Verify with curl"),
    "introspect": _("Introspect with curl"),
    "metadata": _("Metadata"),
}
ABOUT: Mapping[str, Promise] = {
    "verify": _("Ask before each action: live state, policies and limits decide, and the log has the answer."),
    "introspect": _("Ask what a token allows. No policies apply and nothing is counted."),
    "metadata": _("Clients find AgentGate by this document (RFC 9728). Serve it as JSON at:"),
}
IN_FASTMCP = _(
    "Run it with an ASGI server such as uvicorn. Its path is that of the identifier, because clients ask for tokens "
    "for the address of the endpoint."
)
NOT_IN_FASTMCP = _(
    "Clients need the identifier to be the URL of the endpoint, and FastMCP serves no URL with a query or escaped "
    "characters. Register a resource server whose identifier has neither."
)
UNUSUAL = re.compile(r"[?%]")
WELL_KNOWN = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of code. `extra` is the extra of the SDK's package that it needs, and `about` what it does."""

    kind: str
    label: Promise | str
    text: str
    about: Promise | str = ""
    extra: str = ""
    url: str = ""


def snippet(server: ResourceServer, kind: str) -> Snippet:
    """Return the code of one of `KINDS`. Raises `KeyError` for any other kind."""
    label = KINDS[kind]
    text = render_to_string(f"web/portal/services/snippets/{kind}.txt", _values(server))
    extra = {"drf": "django"}.get(kind, kind) if kind in FRAMEWORKS else ""
    url = metadata_url(server) if kind == "metadata" else ""
    return Snippet(kind, label, text.strip(), _about(server, kind), extra, url)


def metadata_url(server: ResourceServer) -> str:
    """Return where clients look for the metadata of the service (RFC 9728 section 3.1)."""
    parts = urlsplit(server.identifier)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path}{query}"


def _about(server: ResourceServer, kind: str) -> Promise | str:
    if kind == "fastmcp":
        return NOT_IN_FASTMCP if UNUSUAL.search(server.identifier) else IN_FASTMCP
    return ABOUT.get(kind, "")


def _values(server: ResourceServer) -> dict[str, str]:
    parts = urlsplit(server.identifier)
    literals = {
        "base_url": settings.API_URL,
        "server_id": server.id,
        "name": plain_text(server.name),
        "identifier": server.identifier,
        "origin": f"{parts.scheme}://{parts.netloc}",
        "path": parts.path or "/",
        "scopes": server.scopes,
        "issuer": f"{settings.API_URL}/oauth",
        "metadata_url": metadata_url(server),
        "scope": _scope_of(server),
    }
    words = {
        "shell_server_id": server.id,
        "verify_url": f"{settings.API_URL}/api/v1/tokens/verify",
        "introspect_url": f"{settings.API_URL}/oauth/introspect",
    }
    quoted = {name: json.dumps(value, ensure_ascii=False) for name, value in literals.items()}
    return quoted | {name: shlex.quote(text) for name, text in words.items()}


def _scope_of(server: ResourceServer) -> str:
    """Return the scope of the example: the first of the service's own or, if it has none, its first."""
    return next((scope for scope in server.scopes if scope not in catalogue()), server.scopes[0])
