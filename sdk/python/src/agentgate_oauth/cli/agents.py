"""`agentgate agents`: register, show, change and suspend agents, and rotate their secrets."""

from __future__ import annotations

from typing import Annotated

import typer

from .._call import UNSET
from ..models import Agent
from .connection import admin
from .names import agent_id, with_id
from .options import Overlap, command, group
from .output import plain, print_facts, print_line, show, show_list, show_secret, warn_shown_once

AgentName = Annotated[str, typer.Argument(metavar="AGENT", help="Its name, agt_ id or agc_ client id.")]
app = group("Manage your organization's agents.")


@command(app, "list", example="agentgate agents list")
def list_agents() -> None:
    """List all agents."""
    columns = ("id", "client id", "name", "status", "allowed scopes")
    with admin() as api:
        show_list(
            api.iter_agents(),
            columns,
            lambda a: (a.id, a.client_id, a.name, _short_state(a), a.allowed_scopes),
        )


@command(app, "show", example="agentgate agents show SmartMail")
def show_agent(agent: AgentName) -> None:
    """Show one agent."""
    with admin() as api:
        found = api.get_agent(agent_id(api, agent))
    show(found, lambda: _print_agent(found))


@command(
    app,
    "create",
    example="agentgate agents create SmartMail --redirect-uri https://a.example/callback --scope email:read",
)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name that users see.")],
    redirect_uri: Annotated[
        list[str], typer.Option(metavar="URI", help="The URL that users return to. Repeat for several.")
    ],
    scope: Annotated[
        list[str], typer.Option(metavar="SCOPE", help="A scope it may ask for. Repeat for several.")
    ],
    description: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What it does, shown to users.")
    ] = None,
) -> None:
    """Register an agent and print its client secret."""
    with admin() as api:
        agent = api.create_agent(
            name=name, redirect_uris=redirect_uri, allowed_scopes=scope, description=description
        )
    show(agent, lambda: _print_agent(agent, client_secret=agent.client_secret))
    warn_shown_once("client secret")


@command(app, "update", example="agentgate agents update SmartMail --scope email:read --scope email:send")
def update(
    agent: AgentName,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its new name.")] = None,
    redirect_uri: Annotated[
        list[str] | None, typer.Option(metavar="URI", help="Replaces all. Repeat for several.")
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help="Replaces all. Repeat for several.")
    ] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What it does.")] = None,
) -> None:
    """Change an agent. Options that you leave out change nothing."""
    with admin() as api:
        updated = api.update_agent(
            agent_id(api, agent),
            name=UNSET if name is None else name,
            redirect_uris=redirect_uri or UNSET,
            allowed_scopes=scope or UNSET,
            description=UNSET if description is None else description,
        )
    show(updated, lambda: _print_agent(updated))


@command(app, "suspend", example="agentgate agents suspend SmartMail")
def suspend(agent: AgentName) -> None:
    """Suspend an agent: all its requests are denied at once."""
    _set_status(agent, "suspended")


@command(app, "activate", example="agentgate agents activate SmartMail")
def activate(agent: AgentName) -> None:
    """Lift your own suspension. An administrator's stop stays in force."""
    _set_status(agent, "active")


@command(app, "rotate-secret", example="agentgate agents rotate-secret SmartMail --overlap-seconds 3600")
def rotate_secret(agent: AgentName, overlap_seconds: Overlap = 0) -> None:
    """Replace all client secrets of an agent with a new one, and print it.

    Without an overlap the old ones stop working at once.
    """
    with admin() as api:
        rotated = api.rotate_agent_secret(agent_id(api, agent), overlap_seconds=overlap_seconds)
    show_secret(rotated, "client secret", rotated.client_secret)


def _set_status(agent: str, status: str) -> None:
    with admin() as api:
        updated = api.update_agent(agent_id(api, agent), status=status)
    show(updated, lambda: print_line(f"{with_id(updated)} is {_state(updated)}."))


def _print_agent(agent: Agent, **more: str) -> None:
    print_facts(
        id=agent.id,
        client_id=agent.client_id,
        **more,
        name=agent.name,
        description=agent.description,
        status=_state(agent),
        redirect_uris=agent.redirect_uris,
        allowed_scopes=agent.allowed_scopes,
    )


def _short_state(agent: Agent) -> str:
    return "stopped" if agent.stop else agent.status


def _state(agent: Agent) -> str:
    """Return the agent's status, with an administrator's stop if there is one."""
    if agent.stop is None:
        return agent.status
    when = f"{agent.stop.at:%Y-%m-%d %H:%M} UTC"
    return f"{agent.status}, but stopped by an administrator on {when}: {plain(agent.stop.reason)}"
