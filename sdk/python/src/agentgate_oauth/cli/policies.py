"""`agentgate policies`: list, show, create, enable, disable and delete policies."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..models import Policy
from .connection import admin
from .files import read_json_list
from .names import agent_id, policy_id
from .options import command, group
from .output import print_facts, print_line, show, show_list

PolicyName = Annotated[str, typer.Argument(metavar="POLICY", help="Its name or pol_ id.")]
Rules = Annotated[
    typer.FileText,
    typer.Argument(
        metavar="FILE", help='JSON: a list of {"type": ..., "config": {...}}. - is standard input.'
    ),
]
app = group("Manage your organization's policies.")


@command(app, "list", example="agentgate policies list")
def list_policies() -> None:
    """List all policies."""
    with admin() as api:
        show_list(api.iter_policies(), ("id", "name", "agent", "enabled", "rules"), _row)


@command(app, "show", example='agentgate policies show "Office hours"')
def show_policy(policy: PolicyName) -> None:
    """Show one policy with its rules."""
    with admin() as api:
        found = api.get_policy(policy_id(api, policy))
    show(found, lambda: _print_policy(found))


@command(app, "create", example='agentgate policies create "Office hours" rules.json --agent SmartMail')
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.")],
    rules: Rules,
    agent: Annotated[
        str | None, typer.Option(metavar="AGENT", help="An agent's name or id. Default: every agent.")
    ] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")] = None,
) -> None:
    """Create a policy. It applies to the next decision."""
    wanted = read_json_list(rules)
    with admin() as api:
        bound = None if agent is None else agent_id(api, agent)
        policy = api.create_policy(name=name, rules=wanted, agent_id=bound, description=description)
    show(policy, lambda: print_line(f"Created {policy.id}."))


@command(app, "enable", example='agentgate policies enable "Office hours"')
def enable(policy: PolicyName) -> None:
    """Enable a policy."""
    _set_enabled(policy, enabled=True)


@command(app, "disable", example='agentgate policies disable "Office hours"')
def disable(policy: PolicyName) -> None:
    """Disable a policy without deleting it."""
    _set_enabled(policy, enabled=False)


@command(app, "delete", example='agentgate policies delete "Office hours"')
def delete(policy: PolicyName) -> None:
    """Delete a policy."""
    with admin() as api:
        deleted = policy_id(api, policy)
        api.delete_policy(deleted)
    show({"id": deleted, "deleted": True}, lambda: print_line(f"Deleted {deleted}."))


def _set_enabled(policy: str, *, enabled: bool) -> None:
    with admin() as api:
        updated = api.update_policy(policy_id(api, policy), enabled=enabled)
    show(updated, lambda: print_line(f"{updated.name} is {'enabled' if updated.enabled else 'disabled'}."))


def _row(policy: Policy) -> tuple[object, ...]:
    types = [rule.type for rule in policy.rules]
    return policy.id, policy.name, policy.agent_id or "every agent", policy.enabled, types


def _print_policy(policy: Policy) -> None:
    print_facts(
        id=policy.id,
        name=policy.name,
        description=policy.description,
        agent=policy.agent_id or "every agent",
        enabled=policy.enabled,
    )
    for rule in policy.rules:
        print_line(json.dumps({"type": rule.type, "config": dict(rule.config)}, ensure_ascii=False))
