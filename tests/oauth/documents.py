"""Documents that clients publish, and fetchers that need no network.

The three documents have the shapes of those that VS Code, Claude Code and ChatGPT publish.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from oauth2_provider.cimd import CIMDError

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


class StubFetcher:
    """Return the documents in `published`, and record the requested URLs."""

    published: dict[str, dict[str, Any]] = {}
    asked: list[str] = []

    def fetch(self, url: str) -> tuple[dict[str, Any], int]:
        self.asked.append(url)
        if url not in self.published:
            raise CIMDError("no such document")
        return self.published[url], 600


class FolderFetcher:
    """Return the documents in the JSON file `TEST_CLIENT_DOCUMENTS`, for running servers."""

    def fetch(self, url: str) -> tuple[dict[str, Any], int]:
        documents = json.loads(Path(os.environ["TEST_CLIENT_DOCUMENTS"]).read_text())
        if url not in documents:
            raise CIMDError("no such document")
        return documents[url], 600


class HangingFetcher:
    """Take as long as a name server that does not respond."""

    def fetch(self, url: str) -> tuple[dict[str, Any], int]:
        time.sleep(30)
        raise CIMDError("timed out")
