"""`agentgate keys`: list, create, rotate and revoke API keys: one's own, and those of the organization."""

from __future__ import annotations

from typing import Annotated

import typer

from .confirmation import Yes, confirm
from .connection import admin
from .names import AgentNames, agent_id, find_key, with_id
from .options import Overlap, command, group
from .output import minute, print_line, show, show_list, show_secret

KeyName = Annotated[str, typer.Argument(metavar="KEY", help="Its name or key_ id.")]
ROLES = "owner, admin, developer or auditor"
app = group("Manage API keys: yours, and those of the organization.")


@command(app, "list", example="agentgate keys list")
def list_keys() -> None:
    """List your API keys and those of the organization, without their values."""
    columns = ("id", "name", "value", "of", "role", "agents", "created", "last used", "expires")
    with admin() as api:
        names = AgentNames(api)
        show_list(
            api.list_api_keys(),
            columns,
            lambda key: (
                key.id,
                key.name,
                key.hint,
                "organization" if key.owned_by_organization else "you",
                key.role,
                "all" if key.agent_ids is None else [names.with_id(one) for one in key.agent_ids],
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
        typer.Option(
            metavar="SECONDS",
            min=60,
            help="How long it works. Default: it does not expire, or for an organization's key in a year.",
        ),
    ] = None,
    role: Annotated[str | None, typer.Option(metavar="ROLE", help=f"{ROLES}. Default: your role.")] = None,
    agent: Annotated[
        list[str] | None,
        typer.Option(metavar="AGENT", help="An agent, if it reaches only some. Repeat for several."),
    ] = None,
    for_organization: Annotated[
        bool,
        typer.Option(
            "--for-organization", help="It belongs to the organization, and still works after you leave."
        ),
    ] = False,
) -> None:
    """Create another API key and print it.

    It may do what its role may, and at most what you may. With --agent it reaches only these agents, their
    log and simulations, and creates nothing. The key of an organization has at most the role developer.
    """
    with admin() as api:
        created = api.create_api_key(
            name=name,
            role=role,
            agent_ids=[agent_id(api, one) for one in agent] if agent else None,
            expires_in_seconds=expires_in_seconds,
            owned_by_organization=for_organization or None,
        )
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
