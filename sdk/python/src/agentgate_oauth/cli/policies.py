"""`agentgate policies`: list, show, create, switch and delete policies."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from ..models import Policy
from .account import admin
from .output import out, plain, print_facts, print_table

app = typer.Typer(help="Your organization's policies.", no_args_is_help=True)


@app.command("list")
def list_policies() -> None:
    """List all policies."""
    columns = ("id", "name", "agent", "enabled", "rules")
    print_table(columns, (_row(policy) for policy in admin().iter_policies()))


@app.command()
def show(policy_id: str) -> None:
    """Show one policy with its rules."""
    policy = admin().get_policy(policy_id)
    print_facts(
        id=policy.id,
        name=policy.name,
        description=policy.description,
        agent=policy.agent_id or "every agent",
        enabled=policy.enabled,
    )
    for rule in policy.rules:
        out.print_json(data={"type": rule.type, "config": dict(rule.config)})


@app.command()
def create(
    name: str,
    rules: Annotated[
        typer.FileText, typer.Argument(help='JSON: a list of {"type": ..., "config": {...}}; - is stdin.')
    ],
    agent: Annotated[str | None, typer.Option(help="An agent's id; without it, every agent.")] = None,
    description: Annotated[str | None, typer.Option()] = None,
) -> None:
    """Set a policy. The next decision already obeys it."""
    policy = admin().create_policy(
        name=name, rules=_read_rules(rules), agent_id=agent, description=description
    )
    out.print(f"Created {policy.id}.")


@app.command()
def enable(policy_id: str) -> None:
    """Switch a policy on."""
    _switch(policy_id, enabled=True)


@app.command()
def disable(policy_id: str) -> None:
    """Switch a policy off."""
    _switch(policy_id, enabled=False)


@app.command()
def delete(policy_id: str) -> None:
    """Delete a policy."""
    admin().delete_policy(policy_id)
    out.print("Deleted.")


def _switch(policy_id: str, *, enabled: bool) -> None:
    policy = admin().update_policy(policy_id, enabled=enabled)
    out.print(f"{plain(policy.name)} is {'on' if policy.enabled else 'off'}.")


def _read_rules(source: typer.FileText) -> list[dict[str, Any]]:
    rules: Any = json.load(source)
    return rules if isinstance(rules, list) else [rules]


def _row(policy: Policy) -> tuple[object, ...]:
    types = [rule.type for rule in policy.rules]
    return policy.id, policy.name, policy.agent_id or "every agent", policy.enabled, types
