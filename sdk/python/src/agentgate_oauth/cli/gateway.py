"""`agentgate gateway`: put AgentGate in front of any MCP server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .._memory import hide_memory
from ..errors import MissingExtraError
from . import connection
from .confirmation import Yes
from .failures import USAGE, Failure
from .gateway_session import Keyring, serve_stdio, sign_in, sign_out
from .options import HAS_SEPARATOR, command, group
from .output import plain

if TYPE_CHECKING:
    from ..gateway.config import Gateway
    from ..gateway.running import Running

app = group("Put AgentGate in front of any MCP server, without changing it.")
Config = Annotated[
    Path,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The gateway's file. Its lock and credential are beside it.",
    ),
]
CONFIG = Path("gateway.yaml")


@app.callback()
def _before_each() -> None:
    # Each of these commands holds a secret, and most of them start programs that are not ours.
    hide_memory()


@contextmanager
def _extra() -> Iterator[None]:
    """Say which extra is missing, if its packages are."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("agentgate_oauth"):
            raise
        raise MissingExtraError("gateway") from None


@command(
    app,
    "init",
    example="agentgate gateway init -- npx -y @modelcontextprotocol/server-filesystem ~/notes",
)
def init(
    context: typer.Context,
    upstream: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="URL | -- COMMAND...", help="The MCP server: a URL, or -- and the command that starts it."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The name that users see.")] = None,
    identifier: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Where clients reach the gateway. Default: http://127.0.0.1:9000/mcp"
        ),
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(
            metavar="PREFIX", help="What its own scopes begin with. Default: by the command or URL."
        ),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VARIABLE", help="A variable that the command needs, by name. Repeat for several."
        ),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="HEADER", help="A header that the URL needs: 'Authorization: $VARIABLE'."),
    ] = None,
    config: Config = CONFIG,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the upstream with this prefix.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what it would do.")] = False,
    yes: Yes = False,
) -> None:
    """Propose what each tool of an MCP server needs, register it, and write gateway.yaml.

    Its tools are read, not called. Run it again with another server to add it. AGENTGATE_API_KEY or your
    sign-in registers the gateway as a resource server; the gateway itself keeps only that one's credential.
    """
    with _extra():
        from .gateway_init import Options, initialize

    words = upstream or []
    if len(words) > 1 and not context.meta[HAS_SEPARATOR]:
        detail = "Put -- before the command, so that its options are not read as those of init."
        hint = "For example: agentgate gateway init -- npx -y @modelcontextprotocol/server-memory"
        raise Failure("usage", detail, hint=hint, exit_code=USAGE)
    options = Options(words, name, identifier, prefix, env or (), header or (), config, replace, dry_run, yes)
    initialize(options)


@command(app, "check", example="agentgate gateway check")
def check(config: Config = CONFIG) -> None:
    """Compare gateway.yaml with the MCP servers and the gate. Exits with 1 if something does not hold."""
    with _extra():
        from .gateway_check import check_all

    raise typer.Exit(0 if check_all(config) else 1)


@command(app, "accept", example="agentgate gateway accept read_text_file")
def accept(
    tools: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TOOL]...", help="Tools, resources or prompts whose definitions changed."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Accept all that differs.")] = False,
    upstream: Annotated[str | None, typer.Option(metavar="PREFIX", help="Only of this upstream.")] = None,
    scopes: Annotated[
        bool, typer.Option("--scopes", help="Register the scopes as gateway.yaml describes them now.")
    ] = False,
    config: Config = CONFIG,
    yes: Yes = False,
) -> None:
    """Show what MCP servers changed, and accept it. Without a name, list what differs.

    What changed is blocked until it is accepted. What is new gets a proposed line in gateway.yaml.
    """
    with _extra():
        from .gateway_accept import accept_changes

    accept_changes(tools or (), every=every, upstream=upstream, scopes=scopes, file=config, yes=yes)


@command(app, "run", example="agentgate gateway run")
def run(
    config: Config = CONFIG,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Where to listen. Default: the host and port of the identifier."
        ),
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Decide and log, but block nothing. Authentication stays.")
    ] = False,
    stdio: Annotated[
        bool,
        typer.Option(
            "--stdio",
            help="Serve the client that starts this program. The gateway signs in by itself, in the browser.",
        ),
    ] = False,
    keyring: Keyring = False,
    credential_fd: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=3,
            help="An open descriptor to read the credential from. It is closed before anything is started, "
            "and the file can belong to another user.",
        ),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="What is logged on stderr, as JSON.")
    ] = "info",
) -> None:
    """Serve the MCP server over HTTP, or with --stdio to one client. Each call is decided by AgentGate first.

    SIGTERM ends it once the calls in flight are answered. SIGHUP reads the files again, which also happens
    when they change.
    """
    with _extra():
        from ..gateway import logs, running
        from ..gateway.files import Files, receive_credential

    logs.configure(log_level)
    if stdio:
        _require_no_address(listen)
        _require_no_descriptor(credential_fd)
        return asyncio.run(serve_stdio(Files(config), is_shadow=shadow, in_keyring=keyring))
    credential = None if credential_fd is None else receive_credential(credential_fd)
    allow_http = connection.http_allowed()
    served = running.Running(Files(config), is_shadow=shadow, allow_http=allow_http, credential=credential)
    host, port = _address(listen) if listen else running.address_of(served.gateway.identifier)
    running.require_free(host, port)
    asyncio.run(running.serve(served, host, port, lambda: _print_started(served, host, port, shadow)))


@command(app, "login", example="agentgate gateway login")
def login(config: Config = CONFIG, keyring: Keyring = False) -> None:
    """Sign in for `run --stdio`, which otherwise opens the browser when a call first needs it."""
    sign_in(_load(config), keyring)


@command(app, "logout", example="agentgate gateway logout")
def logout(config: Config = CONFIG, keyring: Keyring = False) -> None:
    """End the session of `run --stdio`, in all programs and at AgentGate. The connection stays."""
    sign_out(_load(config), keyring)


def _load(path: Path) -> Gateway:
    try:
        from ..gateway import config
    except ModuleNotFoundError:
        raise MissingExtraError("gateway") from None
    return config.load(path)


def _require_no_address(listen: str | None) -> None:
    if listen:
        detail = "--stdio listens nowhere. Leave --listen out."
        raise Failure("invalid_value", detail, exit_code=USAGE)


def _require_no_descriptor(credential_fd: int | None) -> None:
    if credential_fd is not None:
        detail = "--stdio runs as the user, who can read the credential. Leave --credential-fd out."
        raise Failure("invalid_value", detail, exit_code=USAGE)


def _print_started(served: Running, host: str, port: int, shadow: bool) -> None:
    gateway = served.gateway
    name = "".join(one if one.isalnum() else "-" for one in gateway.name.lower()).strip("-") or "gateway"
    typer.echo(plain(f"{gateway.name} listens on http://{host}:{port}, for {gateway.identifier}"))
    if shadow:
        typer.echo("Shadow: nothing is blocked. The log says what would have been.")
    typer.echo("Add it to a client, for example Claude Code:")
    typer.echo(plain(f"  claude mcp add --transport http {name} {gateway.identifier}"))


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise Failure("invalid_value", "--listen must be HOST:PORT, such as 127.0.0.1:9000.", exit_code=USAGE)
    return host.strip("[]"), int(port)
