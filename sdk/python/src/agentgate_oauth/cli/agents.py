"""`agentgate agents`: register agents, look at them, suspend them, rotate their secrets."""

from __future__ import annotations

from typing import Annotated

import typer

from ..models import Agent
from .account import admin
from .output import out, plain, print_facts, print_secret, print_table

app = typer.Typer(help="Your organization's agents.", no_args_is_help=True)


@app.command("list")
def list_agents() -> None:
    """List all agents."""
    columns = ("id", "client id", "name", "status", "allowed scopes")
    agents = admin().iter_agents()
    print_table(columns, ((a.id, a.client_id, a.name, _state(a), a.allowed_scopes) for a in agents))


@app.command()
def show(agent_id: str) -> None:
    """Show one agent."""
    _print_agent(admin().get_agent(agent_id))


@app.command()
def create(
    name: str,
    redirect_uri: Annotated[list[str], typer.Option(help="Repeat for several.")],
    scope: Annotated[list[str], typer.Option(help="A scope it may ask for. Repeat for several.")],
    description: Annotated[str | None, typer.Option()] = None,
) -> None:
    """Register an agent, and print its client secret."""
    agent = admin().create_agent(
        name=name, redirect_uris=redirect_uri, allowed_scopes=scope, description=description
    )
    _print_agent(agent)
    print_secret("Client secret", agent.client_secret)


@app.command()
def suspend(agent_id: str) -> None:
    """Suspend an agent: everything it asks is denied from now on."""
    _print_status(admin().update_agent(agent_id, status="suspended"))


@app.command()
def activate(agent_id: str) -> None:
    """Lift your own suspension. An administrator's stop stays."""
    _print_status(admin().update_agent(agent_id, status="active"))


@app.command("rotate-secret")
def rotate_secret(
    agent_id: str,
    overlap_seconds: Annotated[int, typer.Option(help="For how long the old one still works.")] = 0,
) -> None:
    """Replace an agent's client secret, and print the new one."""
    rotated = admin().rotate_agent_secret(agent_id, overlap_seconds=overlap_seconds)
    print_secret("Client secret", rotated.client_secret)


def _print_agent(agent: Agent) -> None:
    print_facts(
        id=agent.id,
        client_id=agent.client_id,
        name=agent.name,
        description=agent.description,
        status=_state(agent),
        redirect_uris=agent.redirect_uris,
        allowed_scopes=agent.allowed_scopes,
    )


def _print_status(agent: Agent) -> None:
    out.print(f"{plain(agent.name)} is {_state(agent)}.")


def _state(agent: Agent) -> str:
    """Return the developer's switch, and beside it the administrator's stop."""
    if agent.stop is None:
        return agent.status
    when = f"{agent.stop.at:%Y-%m-%d %H:%M} UTC"
    return f"{agent.status}, but stopped by an administrator on {when}: {plain(agent.stop.reason)}"
