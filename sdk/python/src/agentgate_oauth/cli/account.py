"""Signing in and out, who is signed in, and the developer's own API key."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from . import connection
from .options import command, group
from .output import print_facts, print_line, show, show_secret
from .signin import SignIn, forget_sign_in, keep_sign_in, kept_sign_in, sign_in_file

Overlap = Annotated[
    int,
    typer.Option("--overlap-seconds", metavar="SECONDS", min=0, help="For how long the old one still works."),
]
keys = group("Your own API key.")


def login(
    email: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="Your e-mail address. Asked for if left out.")
    ] = None,
) -> None:
    """Sign in as a developer for 12 hours.

    The password comes from AGENTGATE_PASSWORD, a hidden prompt or standard input. The session is kept in a
    file that only you can read.
    """
    address = email or typer.prompt("E-mail", err=True)
    with connection.visitor() as api:
        session = api.sign_in(address, connection.read_secret("Password", "AGENTGATE_PASSWORD"))
    kept = keep_sign_in(session, url=connection.url(), allow_http=connection.http_allowed())
    text = f"Signed in to {kept.url} as {kept.email} until {kept.expires_at:%Y-%m-%d %H:%M} UTC."
    facts = {"url": kept.url, "developer": _developer(kept), "expiresAt": kept.expires_at}
    show(facts, lambda: print_line(text))


def logout() -> None:
    """End the session, here and at AgentGate."""
    sign_in = kept_sign_in()
    if sign_in is not None:
        connection.end_session(sign_in)
        forget_sign_in()
    show(
        {"signedOut": sign_in is not None},
        lambda: print_line("Signed out." if sign_in else "You were not signed in."),
    )


def whoami() -> None:
    """Show which AgentGate the commands ask, as whom, and with which credential."""
    with connection.admin() as api:
        # The answer proves that the credential works, and names the developer that an API key belongs to.
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


@command(keys, "rotate", example="agentgate keys rotate --overlap-seconds 3600")
def rotate_key(overlap_seconds: Overlap = 0) -> None:
    """Replace your API key and print the new one.

    Without an overlap the old key stops working at once.
    """
    with connection.admin() as api:
        rotated = api.rotate_api_key(overlap_seconds=overlap_seconds)
    show_secret(rotated, "API key", rotated.api_key)


def _identity(credential: str, developer: dict[str, Any]) -> dict[str, Any]:
    return {"url": connection.url(), "credential": credential, "developer": developer}


def _developer(sign_in: SignIn) -> dict[str, Any]:
    return {"id": sign_in.id, "name": sign_in.name, "email": sign_in.email}


def _print_identity(facts: dict[str, Any]) -> None:
    developer = [value for value in facts["developer"].values() if value]
    shown = {"server": facts["url"], "developer": developer or "unknown", "credential": facts["credential"]}
    expires_at = facts.get("expiresAt")
    print_facts(**shown, **({"until": f"{expires_at:%Y-%m-%d %H:%M} UTC"} if expires_at else {}))
