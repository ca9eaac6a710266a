"""`agentgate delegations`: what the organization's agents handed over and received."""

from __future__ import annotations

from typing import Annotated

import typer

from .confirmation import Yes, confirm
from .connection import admin
from .names import agent_id
from .options import command, group
from .output import minute, print_line, show, show_list

DelegationId = Annotated[str, typer.Argument(metavar="DEL_ID", help="Its del_ id.")]
app = group("See and end the work that agents hand to each other.")


@command(app, "list", example="agentgate delegations list --agent SmartMail --status active")
def list_delegations(
    agent: Annotated[
        str | None, typer.Option(metavar="AGENT", help="Only of this agent: its name, agt_ id or agc_ id.")
    ] = None,
    direction: Annotated[
        str | None, typer.Option(metavar="DIRECTION", help="Only what was given, or received.")
    ] = None,
    status: Annotated[str | None, typer.Option(metavar="STATUS", help="Only active or ended ones.")] = None,
) -> None:
    """List what your agents handed over and received, newest first."""
    columns = ("id", "parent", "from", "to", "scopes", "status", "until")
    with admin() as api:
        found = api.iter_delegations(
            agent_id=None if agent is None else agent_id(api, agent), direction=direction, status=status
        )
        show_list(
            found,
            columns,
            lambda d: (
                d.id,
                d.parent_id or "-",
                d.from_.name,
                d.to.name,
                d.scopes,
                d.status,
                minute(d.expires_at),
            ),
        )


@command(app, "end", example="agentgate delegations end del_0190a8c2b7f37d3e9c64d1f0a2b5e871")
def end(delegation_id: DelegationId, yes: Yes = False) -> None:
    """End a delegation that one of your agents gave, and all below it. It cannot be resumed."""
    confirm(f"End {delegation_id} and all that was handed on from it?", yes=yes)
    with admin() as api:
        ended = api.end_delegation(delegation_id)
    text = f"Ended {ended.id}, which {ended.to.name} had from {ended.from_.name}."
    show(ended, lambda: print_line(text))
