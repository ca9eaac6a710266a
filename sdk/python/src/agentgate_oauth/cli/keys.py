"""`agentgate keys`: list, create, rotate and revoke the developer's own API keys."""

from __future__ import annotations

from typing import Annotated

import typer

from .confirmation import Yes, confirm
from .connection import admin
from .names import find_key, with_id
from .options import Overlap, command, group
from .output import minute, print_line, show, show_list, show_secret

KeyName = Annotated[str, typer.Argument(metavar="KEY", help="Its name or key_ id.")]
app = group("Manage your API keys.")


@command(app, "list", example="agentgate keys list")
def list_keys() -> None:
    """List your API keys that work, without their values."""
    columns = ("id", "name", "value", "created", "last used", "expires")
    with admin() as api:
        found = api.list_api_keys()
    show_list(
        found,
        columns,
        lambda key: (
            key.id,
            key.name,
            key.hint,
            minute(key.created_at),
            minute(key.last_used_at) or "never",
            minute(key.expires_at) or "never",
        ),
    )


@command(app, "create", example="agentgate keys create laptop")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Where it is used.")],
    expires_in_seconds: Annotated[
        int | None,
        typer.Option(metavar="SECONDS", min=60, help="How long it works. Default: it does not expire."),
    ] = None,
) -> None:
    """Create another API key and print it."""
    with admin() as api:
        created = api.create_api_key(name=name, expires_in_seconds=expires_in_seconds)
    show_secret(created, "API key", created.api_key)


@command(app, "rotate", example="agentgate keys rotate laptop --overlap-seconds 3600")
def rotate(
    key: Annotated[
        str | None, typer.Argument(metavar="KEY", help="Its name or key_ id. Default: all your keys.")
    ] = None,
    overlap_seconds: Overlap = 0,
    yes: Yes = False,
) -> None:
    """Replace an API key and print the new one. Without KEY, the new one replaces all your API keys.

    Without an overlap, what is replaced stops working at once.
    """
    with admin() as api:
        if key is not None:
            rotated = api.rotate_one_api_key(find_key(api, key).id, overlap_seconds=overlap_seconds)
            show_secret(rotated, "API key", rotated.api_key)
            return
        confirm("Replace all your API keys with a new one?", yes=yes)
        replacing = api.rotate_api_key(overlap_seconds=overlap_seconds)
    show_secret(replacing, "API key", replacing.api_key)


@command(app, "revoke", example="agentgate keys revoke laptop")
def revoke(key: KeyName, yes: Yes = False) -> None:
    """Delete an API key. It stops working at once."""
    with admin() as api:
        found = find_key(api, key)
        confirm(f"Delete the API key {with_id(found)}?", yes=yes)
        api.revoke_api_key(found.id)
    show({"id": found.id, "deleted": True}, lambda: print_line(f"Deleted {with_id(found)}."))
