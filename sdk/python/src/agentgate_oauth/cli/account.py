"""Signing in and out, and the credential that the other commands use."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import typer

from .._base import DEFAULT_TIMEOUT_SECONDS, Api, Blocks, http_allowed_by_environment
from .._call import Call, Credential
from .._decode import parse_time, reader
from .._effects import Flow
from .._endpoint import endpoint
from ..admin import AgentGateAdmin
from ..errors import AgentGateError
from ..models import DeveloperSession
from ..stores._files import make_private_directory, read_private, write_private
from .output import out

DEFAULT_URL = "http://localhost:8000"
Url = Annotated[str, typer.Option(envvar="AGENTGATE_URL", help="Where AgentGate is.")]


class SignIn(Api, Blocks):
    """The two calls around a developer's session."""

    @endpoint
    def sign_in(self, email: str, password: str) -> Flow[DeveloperSession]:
        body = {"email": email, "password": password}
        return self._call(Call("POST", "/developers/login", reader(DeveloperSession), json=body))

    @endpoint
    def sign_out(self) -> Flow[None]:
        return self._call(Call("POST", "/developers/logout", lambda _: None, replayable=True))


def login(
    email: Annotated[str, typer.Option(prompt=True)],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, envvar="AGENTGATE_PASSWORD")],
    url: Url = DEFAULT_URL,
) -> None:
    """Sign in as a developer. The session is kept in a file that only you can read, for 12 hours."""
    session = _sign_in(url, Credential()).sign_in(email, password)
    kept = {"url": url, "token": session.session_token, "expires": session.expires_at.isoformat()}
    write_private(_file(), json.dumps(kept))
    out.print(f"Signed in as {session.email} until {session.expires_at:%H:%M %Z}.", markup=False)


def logout() -> None:
    """End the session, here and at AgentGate."""
    kept = _kept()
    if kept is not None:
        _sign_in(kept["url"], Credential({"Authorization": f"Bearer {kept['token']}"})).sign_out()
        _file().unlink(missing_ok=True)
    out.print("Signed out.")


def admin() -> AgentGateAdmin:
    """Return a connection with `AGENTGATE_API_KEY`, else with the kept session. Raises AgentGateError."""
    api_key = os.environ.get("AGENTGATE_API_KEY")
    if api_key:
        return AgentGateAdmin(base_url(), api_key, allow_http=http_allowed_by_environment())
    kept = _kept()
    if kept is None or parse_time(kept["expires"]) <= datetime.now(timezone.utc):
        raise AgentGateError("not signed in: use agentgate login, or set AGENTGATE_API_KEY")
    return AgentGateAdmin(kept["url"], session_token=kept["token"], allow_http=http_allowed_by_environment())


def base_url() -> str:
    kept = _kept()
    return os.environ.get("AGENTGATE_URL") or (kept["url"] if kept else DEFAULT_URL)


def _sign_in(url: str, credential: Credential) -> SignIn:
    allow_http = http_allowed_by_environment()
    return SignIn(
        url,
        credential,
        timeout=DEFAULT_TIMEOUT_SECONDS,
        retry=None,
        http_client=None,
        allow_http=allow_http,
    )


def _kept() -> dict[str, Any] | None:
    text = read_private(_file())
    kept: dict[str, Any] | None = None if text is None else json.loads(text)
    return kept


def _file() -> Path:
    directory = os.environ.get("AGENTGATE_CONFIG_DIR") or typer.get_app_dir("agentgate")
    return make_private_directory(Path(directory)) / "session.json"
