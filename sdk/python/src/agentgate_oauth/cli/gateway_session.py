"""The session of a gateway that a client starts as a program: `run --stdio`, `login` and `logout`."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from ..stores import FileStore, KeyringStore
from . import connection
from .output import print_line, show
from .signin import sign_in_file

if TYPE_CHECKING:
    from ..gateway.callers import Introspections, TokenSource
    from ..gateway.config import Gateway
    from ..gateway.files import Files
    from ..gateway.login import OwnSession

Keyring = Annotated[
    bool,
    typer.Option("--keyring", help="Keep the session in the system's keyring, instead of a private file."),
]


def own_session(
    gateway: Gateway, in_keyring: bool, tell: Callable[[str], None] = lambda page: None
) -> OwnSession:
    """Return the gateway's own session, which all programs of this user share."""
    from ..gateway.login import OwnSession

    directory = sign_in_file().parent / "gateway"
    files = FileStore(directory)
    store = KeyringStore("agentgate-gateway") if in_keyring else files
    host = platform.node()
    name = f"{gateway.name} on {host}" if host else gateway.name
    allow_http = connection.http_allowed()
    return OwnSession(gateway, store, directory, name=name[:200], tell=tell, allow_http=allow_http)


async def serve_stdio(files: Files, *, is_shadow: bool, in_keyring: bool) -> None:
    """Serve the client that started this program, with its user's session."""
    from ..gateway import running
    from ..gateway.own_callers import OwnCallers

    sessions: list[OwnSession] = []

    def callers(introspections: Introspections, gateway: Gateway) -> TokenSource:
        sessions.append(own_session(gateway, in_keyring))
        return OwnCallers(sessions[0], introspections)

    allow_http = connection.http_allowed()
    served = running.Running(files, is_shadow=is_shadow, allow_http=allow_http, callers=callers)
    try:
        await running.serve_stdio(served)
    finally:
        await sessions[0].aclose()


def sign_in(gateway: Gateway, in_keyring: bool) -> None:
    """Sign in in the browser, and print what the user has allowed."""
    granted = asyncio.run(_sign_in(own_session(gateway, in_keyring, _tell)))
    text = f"Signed in for {gateway.name}. Allowed: {', '.join(granted)}"
    show({"identifier": gateway.identifier, "scopes": granted}, lambda: print_line(text))


def sign_out(gateway: Gateway, in_keyring: bool) -> None:
    was = asyncio.run(_sign_out(own_session(gateway, in_keyring)))
    text = "Signed out, in all programs." if was else "You were not signed in."
    show({"signedOut": was}, lambda: print_line(text))


async def _sign_in(session: OwnSession) -> tuple[str, ...]:
    try:
        if not await session.granted():
            await session.begin()
        return await session.granted()
    finally:
        await session.aclose()


async def _sign_out(session: OwnSession) -> bool:
    try:
        return await session.sign_out()
    finally:
        await session.aclose()


def _tell(page: str) -> None:
    typer.echo(f"Opening your browser. If it does not open, go to:\n\n  {page}\n", err=True)
