"""Documents that clients publish, and websites that need no network.

The three documents have the shapes of those that VS Code, Claude Code and ChatGPT publish.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from django.apps import AppConfig

from core.fetching import Fetched, FetchFailed

VS_CODE = {
    "client_id": "https://vscode.example/oauth/client-metadata.json",
    "client_name": "Visual Studio Code",
    "client_uri": "https://vscode.example/",
    "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
    "response_types": ["code"],
    "redirect_uris": ["http://127.0.0.1:33418/", "https://vscode.example/redirect"],
    "token_endpoint_auth_method": "none",
    "application_type": "native",
}
CLAUDE_CODE = {
    "client_id": "https://claude.example/oauth/claude-code-client-metadata",
    "client_name": "Claude Code",
    "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
}
CHATGPT = {
    "client_id": "https://chatgpt.example/oauth/client.json",
    "client_uri": "https://chatgpt.example/",
    "client_name": "ChatGPT",
    "redirect_uris": ["https://chatgpt.example/connector_platform_oauth_redirect"],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
    "token_endpoint_auth_signing_alg": "RS256",
    "jwks_uri": "https://chatgpt.example/oauth/jwks.json",
}


def answer(document: dict[str, Any] | None) -> Fetched:
    """Return what the website of a client answers with. Raises `FetchFailed` if it has no such document."""
    if document is None:
        raise FetchFailed("no such document", 404)
    return Fetched(json.dumps(document).encode(), "application/json", "max-age=600")


class Websites:
    """The documents in `published`, and the URLs that were asked for."""

    published: dict[str, dict[str, Any]] = {}
    asked: list[str] = []

    @classmethod
    def read(cls, connection: Any, path: str, *_: object) -> Fetched:
        url = f"https://{connection.host}{path}"
        cls.asked.append(url)
        return answer(cls.published.get(url))


def read_from_file(connection: Any, path: str, *_: object) -> Fetched:
    """Return a document of the JSON file `TEST_CLIENT_DOCUMENTS`, for running servers."""
    documents = json.loads(Path(os.environ["TEST_CLIENT_DOCUMENTS"]).read_text())
    return answer(documents.get(f"https://{connection.host}{path}"))


class WebsitesInAFile(AppConfig):
    """Lets a server find the documents in a file. `tests.live.oauth.with_documents` installs it."""

    name, label = "tests.oauth", "websites"

    def ready(self) -> None:
        from core import fetching

        fetching._read = read_from_file


class HangingNames(AppConfig):
    """Lets a server's lookups take as long as a name server that does not respond."""

    name, label = "tests.oauth", "hanging"

    def ready(self) -> None:
        from core import fetching

        fetching.look_up = hang


def hang(host: str) -> list[str]:
    time.sleep(30)
    raise OSError("timed out")
