"""Sign in and out, and show who is signed in."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..errors import AuthenticationError
from ..models import DeveloperSession
from . import connection
from .options import chosen
from .output import print_facts, print_line, show
from .signin import SignIn, delete_sign_in, sign_in_file, store_sign_in, stored_sign_in


def login(
    email: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="Your email address. Prompted for if left out.")
    ] = None,
) -> None:
    """Sign in as a developer for 12 hours.

    The password comes from AGENTGATE_PASSWORD, a hidden prompt or standard input. If the account has an
    authenticator app, its code comes from AGENTGATE_CODE or a prompt. The session is stored in a file that
    only you can read.
    """
    address = email or typer.prompt("Email", err=True)
    with connection.visitor() as api:
        session = _sign_in(api, address, connection.read_secret("Password", "AGENTGATE_PASSWORD"))
    stored = store_sign_in(session, url=connection.url(), allow_http=connection.http_allowed())
    text = f"Signed in to {stored.url} as {stored.email} until {stored.expires_at:%Y-%m-%d %H:%M} UTC."
    facts = {"url": stored.url, "developer": _developer(stored), "expiresAt": stored.expires_at}
    show(facts, lambda: print_line(text))
    if connection.api_key() and not chosen.json:
        typer.echo("AGENTGATE_API_KEY is set, and takes precedence over the sign-in.", err=True)


def logout() -> None:
    """End the session, here and at AgentGate."""
    sign_in = stored_sign_in()
    if sign_in is not None:
        connection.end_session(sign_in)
        delete_sign_in()
    show(
        {"signedOut": sign_in is not None},
        lambda: print_line("Signed out." if sign_in else "You were not signed in."),
    )


def whoami() -> None:
    """Show the server, developer and credential in use."""
    with connection.admin() as api:
        # This checks the credential, and finds the developer that an API key belongs to.
        registered = list(api.iter_audit_logs(event="developer.registered"))
    if connection.api_key():
        ids = {(entry.metadata or {}).get("developerId") for entry in registered}
        facts = _identity("API key from AGENTGATE_API_KEY", {"id": ids.pop() if len(ids) == 1 else None})
    else:
        sign_in = connection.live_sign_in()
        facts = {
            **_identity(f"session in {sign_in_file()}", _developer(sign_in)),
            "expiresAt": sign_in.expires_at,
        }
    show(facts, lambda: _print_identity(facts))


def _sign_in(api: connection.Visitor, email: str, password: str) -> DeveloperSession:
    """Sign in with the password, and with a code if the account needs one."""
    try:
        return api.sign_in(email, password)
    except AuthenticationError as error:
        code = connection.read_code() if error.code == "second_factor_required" else ""
        if not code:
            raise
    return api.sign_in(email, password, code)


def _identity(credential: str, developer: dict[str, Any]) -> dict[str, Any]:
    return {"url": connection.url(), "credential": credential, "developer": developer}


def _developer(sign_in: SignIn) -> dict[str, Any]:
    return {"id": sign_in.id, "name": sign_in.name, "email": sign_in.email}


def _print_identity(facts: dict[str, Any]) -> None:
    developer = [value for value in facts["developer"].values() if value]
    shown = {"server": facts["url"], "developer": developer or "unknown", "credential": facts["credential"]}
    expires_at = facts.get("expiresAt")
    print_facts(**shown, **({"until": f"{expires_at:%Y-%m-%d %H:%M} UTC"} if expires_at else {}))
