"""`agentgate resource-servers`: manage the services that accept tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from ..models import ResourceServer
from .confirmation import Yes, confirm
from .connection import admin
from .failures import USAGE, Failure
from .files import read_json_list
from .names import find_resource_server, with_id
from .options import Overlap, command, group
from .output import print_facts, print_line, print_table, show, show_list, show_secret, warn_shown_once

ServerName = Annotated[
    str, typer.Argument(metavar="RESOURCE_SERVER", help="Its name, res_ id or identifier.")
]
OwnScopes = Annotated[
    typer.FileText | None,
    typer.Option(
        "--own-scopes",
        metavar="FILE",
        help="JSON: a list of scopes of its own, each with id, riskLevel, title, description and cannot.",
    ),
]
app = group("Manage your organization's resource servers.")


@command(app, "list", example="agentgate resource-servers list")
def list_servers() -> None:
    """List all resource servers."""
    columns = ("id", "name", "identifier", "scopes")
    with admin() as api:
        show_list(
            api.iter_resource_servers(), columns, lambda s: (s.id, s.name, s.identifier, _scope_ids(s.scopes))
        )


@command(app, "show", example="agentgate resource-servers show Mail")
def show_server(server: ServerName) -> None:
    """Show one resource server."""
    with admin() as api:
        found = find_resource_server(api, server)
    show(found, lambda: _print_server(found))


@command(
    app,
    "create",
    example="agentgate resource-servers create Mail https://mail.example --scope email:read",
)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name that users see.")],
    identifier: Annotated[
        str, typer.Argument(metavar="URI", help="Its identifier, the audience of its tokens.")
    ],
    scope: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help="A scope that it accepts. Repeat for several.")
    ] = None,
    own_scopes: OwnScopes = None,
) -> None:
    """Register a service and print its secret."""
    scopes = [*(scope or ()), *(read_json_list(own_scopes) if own_scopes else ())]
    with admin() as api:
        server = api.create_resource_server(name=name, identifier=identifier, scopes=scopes)
    show(server, lambda: _print_server(server, secret=server.secret))
    warn_shown_once("secret")


@command(app, "scopes", example="agentgate resource-servers scopes Mail --add email:send")
def scopes(
    server: ServerName,
    add: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help="A scope to add. Repeat for several.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help="A scope to remove. Repeat for several.")
    ] = None,
    own_scopes: OwnScopes = None,
) -> None:
    """List a resource server's scopes, or change them."""
    added = [*(add or ()), *(read_json_list(own_scopes) if own_scopes else ())]
    with admin() as api:
        found = find_resource_server(api, server)
        if added or remove:
            wanted = _changed(found.scopes, added, remove or ())
            found = api.update_resource_server(found.id, scopes=wanted)
    show({"id": found.id, "scopes": found.scopes}, lambda: print_table(_scope_rows(found.scopes)))


@command(app, "rotate-secret", example="agentgate resource-servers rotate-secret Mail --overlap-seconds 3600")
def rotate_secret(server: ServerName, overlap_seconds: Overlap = 0) -> None:
    """Replace a resource server's secret and print the new one.

    Without an overlap the old secret stops working at once.
    """
    with admin() as api:
        wanted = find_resource_server(api, server).id
        rotated = api.rotate_resource_server_secret(wanted, overlap_seconds=overlap_seconds)
    show_secret(rotated, "secret", rotated.secret)


@command(app, "delete", example="agentgate resource-servers delete Mail")
def delete(server: ServerName, yes: Yes = False) -> None:
    """Delete a resource server. Its credential stops working at once."""
    with admin() as api:
        found = find_resource_server(api, server)
        confirm(f"Delete the resource server {with_id(found)}?", yes=yes)
        api.delete_resource_server(found.id)
    show({"id": found.id, "deleted": True}, lambda: print_line(f"Deleted {with_id(found)}."))


def _changed(now: Sequence[Any], added: Sequence[Any], removed: Sequence[str]) -> list[Any]:
    """Return the scopes after the change. Raises Failure if a scope to remove is missing."""
    missing = [scope for scope in removed if scope not in _scope_ids(now)]
    if missing:
        raise Failure("unknown_scope", f"It does not have the scope {', '.join(missing)}.", exit_code=USAGE)
    # An added scope replaces one with the same id, because its texts may have changed.
    gone = {*removed, *_scope_ids(added)}
    return [*(scope for scope in now if _scope_id(scope) not in gone), *added]


def _scope_id(scope: Any) -> str:
    return str(scope.get("id")) if isinstance(scope, Mapping) else str(scope)


def _scope_ids(scopes: Sequence[Any]) -> list[str]:
    return [_scope_id(scope) for scope in scopes]


def _scope_rows(scopes: Sequence[Any]) -> list[tuple[object, ...]]:
    return [
        (scope["id"], scope["riskLevel"], scope["title"]) if isinstance(scope, Mapping) else (scope, "", "")
        for scope in scopes
    ]


def _print_server(server: ResourceServer, **more: str) -> None:
    facts = {"id": server.id, **more, "name": server.name, "identifier": server.identifier}
    print_facts(**facts, scopes=_scope_ids(server.scopes))
