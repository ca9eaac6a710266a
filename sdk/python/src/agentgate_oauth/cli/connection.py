"""The server and the credential that commands use."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from datetime import datetime, timezone

import typer

from .._api.audit import AuditApi
from .._base import DEFAULT_TIMEOUT_SECONDS, SyncApi
from .._call import Call, Credential
from .._checks import checked_base_url
from .._decode import reader
from .._effects import Flow
from .._endpoint import endpoint
from ..admin import AgentGateAdmin
from ..errors import AuthenticationError
from ..models import UserSession
from .failures import USAGE, Failure
from .options import chosen
from .signin import SignIn, stored_sign_in

DEFAULT_URL = "http://localhost:8000"


class Visitor(AuditApi, SyncApi):
    """Calls that need no credential: signing in and out, and the catalogue of scopes."""

    @endpoint
    def sign_in(self, email: str, password: str, code: str = "") -> Flow[UserSession]:
        body = {"email": email, "password": password, **({"code": code} if code else {})}
        return self._call(Call("POST", "/users/login", reader(UserSession), json=body))

    @endpoint
    def sign_out(self) -> Flow[None]:
        return self._call(Call("POST", "/users/logout", lambda _: None, replayable=True))


def admin() -> AgentGateAdmin:
    """Return a connection with `AGENTGATE_API_KEY`, or else with the stored sign-in. Raises Failure."""
    key = api_key()
    if key:
        return AgentGateAdmin(url(), key, organization=chosen.organization, allow_http=http_allowed())
    return user()


def user() -> AgentGateAdmin:
    """Return a connection with the stored sign-in, for what the API refuses to keys. Raises Failure."""
    sign_in = live_sign_in()
    return AgentGateAdmin(
        url(), session_token=sign_in.token, organization=organization(sign_in), allow_http=http_allowed()
    )


def organization(sign_in: SignIn) -> str | None:
    """Return the id of the organization to act for. None for the user's only one."""
    return chosen.organization or sign_in.organization


def visitor(at: str | None = None) -> Visitor:
    """Return a connection without a credential, to this server or the one that is chosen."""
    return _visitor(at or url(), Credential(), http_allowed())


def end_session(sign_in: SignIn) -> None:
    """End the session at the server where it began. It may have ended already."""
    credential = Credential({"Authorization": f"Bearer {sign_in.token}"})
    with _visitor(sign_in.url, credential, sign_in.allow_http) as api, suppress(AuthenticationError):
        api.sign_out()


def api_key() -> str | None:
    return os.environ.get("AGENTGATE_API_KEY") or None


def live_sign_in() -> SignIn:
    """Return the stored sign-in. Raises Failure if it is missing, expired, or for another server."""
    sign_in = stored_sign_in()
    if sign_in is None or sign_in.expires_at <= datetime.now(timezone.utc):
        what = f"You are not signed in to {url()}." if sign_in is None else "Your sign-in has expired."
        raise Failure("not_signed_in", what, hint="Sign in with: agentgate login, or set AGENTGATE_API_KEY.")
    if sign_in.url != url():
        detail = f"You are signed in to {sign_in.url}, not to {url()}."
        raise Failure("not_signed_in", detail, hint=f"Sign in there with: agentgate login --url {url()}")
    return sign_in


def url() -> str:
    """Return the URL of `--url` or `AGENTGATE_URL`, or of the sign-in, or the default. Raises Failure."""
    address = chosen.url or _stored_url() or DEFAULT_URL
    # Do not repeat a URL that contains a password.
    name = "The URL" if "@" in address else f"The URL {address}"
    try:
        checked = checked_base_url(address, allow_http=True, name=name)
    except ValueError as error:
        raise Failure("invalid_url", str(error), exit_code=USAGE) from None
    _require_https(checked)
    return checked


def http_allowed() -> bool:
    """Return whether `--allow-http` was given, now or at the sign-in to the same server."""
    if chosen.allow_http:
        return True
    sign_in = stored_sign_in()
    return sign_in is not None and sign_in.allow_http and chosen.url in (None, sign_in.url)


def read_secret(label: str, variable: str) -> str:
    """Return a secret from the environment, a hidden prompt or standard input; never from an argument."""
    value = os.environ.get(variable)
    if value is None and sys.stdin.isatty():
        value = str(typer.prompt(label, hide_input=True, err=True))
    return (sys.stdin.read() if value is None else value).strip()


def read_code() -> str:
    """Return the code of the authenticator app from the environment or a prompt, or "" without either."""
    value = os.environ.get("AGENTGATE_CODE", "")
    if not value and sys.stdin.isatty():
        value = str(typer.prompt("Code of your authenticator app", err=True))
    return value.strip()


def _stored_url() -> str | None:
    sign_in = stored_sign_in()
    return sign_in.url if sign_in else None


def _require_https(address: str) -> None:
    try:
        checked_base_url(address, http_allowed())
    except ValueError:
        hint = "If you trust the network, add --allow-http or set AGENTGATE_ALLOW_HTTP=1."
        detail = f"{address} is not https, and every call contains a secret."
        raise Failure("insecure_url", detail, hint=hint, exit_code=USAGE) from None


def _visitor(address: str, credential: Credential, allow_http: bool) -> Visitor:
    return Visitor(
        address,
        credential,
        timeout=DEFAULT_TIMEOUT_SECONDS,
        retry=None,
        http_client=None,
        allow_http=allow_http,
    )
