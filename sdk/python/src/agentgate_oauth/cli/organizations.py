"""`agentgate organizations`: choose, create, show, rename, stop and delete organizations."""

from __future__ import annotations

from typing import Annotated

import typer

from ..admin import AgentGateAdmin
from ..models import Organization
from . import connection
from .confirmation import Yes, confirm
from .connection import admin
from .failures import USAGE, Failure
from .names import find_membership, with_id
from .options import command, group
from .output import minute, plain, print_facts, print_line, show, show_list
from .signin import choose_organization

Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why. The log shows it to members.")]
app = group("Manage organizations: choose, create, stop and delete them.")


@command(app, "list", example="agentgate organizations list")
def list_organizations() -> None:
    """List the organizations that you are a member of, with your role in each."""
    with connection.user() as api:
        mine = api.list_organizations()
    used = connection.organization(connection.live_sign_in())
    columns = ("id", "name", "role", "member id", "in use")
    show_list(
        mine,
        columns,
        lambda m: (
            m.organization.id,
            m.organization.name,
            m.role,
            m.member_id,
            "yes" if len(mine) == 1 or m.organization.id == used else "",
        ),
    )


@command(app, "create", example='agentgate organizations create "Acme Labs"')
def create(name: Annotated[str, typer.Argument(metavar="NAME", help="The name that users see.")]) -> None:
    """Create an organization. You are its owner."""
    with connection.user() as api:
        made = api.create_organization(name=name)
    hint = f"Choose it with: agentgate organizations use {made.organization.id}"
    show(made, lambda: print_line(f"Created {with_id(made.organization)}. {hint}"))


@command(app, "use", example='agentgate organizations use "Acme Labs"')
def use(
    organization: Annotated[str, typer.Argument(metavar="ORGANIZATION", help="Its name or org_ id.")],
) -> None:
    """Choose the organization that later commands act for, until you sign out."""
    with connection.user() as api:
        found = find_membership(api, organization)
    choose_organization(connection.live_sign_in(), found.id)
    show(found, lambda: print_line(f"Commands now act for {with_id(found)}."))


@command(app, "show", example="agentgate organizations show")
def show_organization() -> None:
    """Show the organization in use, and your role in it."""
    with admin() as api:
        found = api.get_organization()
    show(found, lambda: _print_organization(found))


@command(app, "rename", example="agentgate organizations rename Acme")
def rename(name: Annotated[str, typer.Argument(metavar="NAME", help="Its new name.")]) -> None:
    """Rename the organization in use. A new name ends its verification."""
    with admin() as api:
        renamed = api.update_organization(name=name)
    show(renamed, lambda: _print_organization(renamed))


@command(app, "stop", example='agentgate organizations stop --reason "A secret leaked"')
def stop(reason: Reason, yes: Yes = False) -> None:
    """Stop all agents of the organization in use. All their requests are denied at once."""
    with admin() as api:
        confirm(f"Stop all agents of {with_id(api.get_organization())}? {_impact(api)}", yes=yes)
        stopped = api.stop_organization(reason=reason)
    show(stopped, lambda: _print_organization(stopped))


@command(app, "resume", example="agentgate organizations resume")
def resume(
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why. The log shows it.")] = None,
) -> None:
    """Lift the organization's own stop. All other stops stay in force."""
    with admin() as api:
        resumed = api.resume_organization(reason=reason)
    show(resumed, lambda: _print_organization(resumed))


@command(app, "delete", example='agentgate organizations delete "Acme Labs"')
def delete(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The exact name of the organization in use.")],
    yes: Yes = False,
) -> None:
    """Delete the organization in use. It is stopped at once, and owners can restore it for 7 days."""
    with admin() as api:
        found = api.get_organization()
        if name != found.name:
            detail = f"The organization in use is {with_id(found)}, not {plain(name)}."
            raise Failure("name_mismatch", detail, exit_code=USAGE)
        confirm(f"Delete {with_id(found)}? {_impact(api)}", yes=yes)
        api.delete_organization()
        deleted = api.get_organization()
    show(deleted, lambda: _print_organization(deleted))


@command(app, "restore", example="agentgate organizations restore")
def restore() -> None:
    """Undo the deletion of the organization in use, which owners can do for 7 days."""
    with admin() as api:
        restored = api.restore_organization()
    show(restored, lambda: _print_organization(restored))


def _impact(api: AgentGateAdmin) -> str:
    """Return a sentence about what a stop affects."""
    impact = api.get_organization_stop().impact
    counts = {
        "agents": impact.agents,
        "live connections": impact.connections,
        "users": impact.users,
        "requests allowed in the last 24 hours": impact.allowed_last_day,
    }
    return (
        "It affects: " + ", ".join(f"{count} {of}" for of, count in counts.items() if count is not None) + "."
    )


def _print_organization(found: Organization) -> None:
    stop = found.stop and f"since {minute(found.stop.at)}: {plain(found.stop.reason)}"
    print_facts(
        id=found.id,
        name=found.name,
        domain=found.domain or "none",
        verified="yes" if found.verified else "no",
        stopped=stop or "no",
        **({"deletes": minute(found.deletes_at)} if found.deletes_at else {}),
        your_role=found.role,
        created=minute(found.created_at),
    )
