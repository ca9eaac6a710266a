"""`agentgate policies`: list, show, create, change and delete policies."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from .._call import UNSET
from ..models import Policy
from .confirmation import Yes, confirm
from .connection import admin
from .failures import USAGE, Failure
from .files import read_json_list
from .names import AgentNames, agent_id, find_policy, with_id
from .options import command, group
from .output import print_facts, print_line, show, show_list

_RULES = 'JSON: a list of {"type": ..., "config": {...}}. - is standard input.'

PolicyName = Annotated[str, typer.Argument(metavar="POLICY", help="Its name or pol_ id.")]
Rules = Annotated[typer.FileText, typer.Argument(metavar="FILE", help=_RULES)]
OtherRules = Annotated[typer.FileText | None, typer.Option("--rules", metavar="FILE", help=_RULES)]
Mode = Annotated[
    str | None,
    typer.Option(metavar="MODE", help="enforce, or shadow: it denies nothing, and logs what it would deny."),
]
app = group("Manage your organization's policies.")


@command(app, "list", example="agentgate policies list")
def list_policies() -> None:
    """List all policies."""
    columns = ("id", "name", "agent", "mode", "enabled", "rules")
    with admin() as api:
        names = AgentNames(api)
        show_list(api.iter_policies(), columns, lambda policy: _row(policy, names))


@command(app, "show", example='agentgate policies show "Office hours"')
def show_policy(policy: PolicyName) -> None:
    """Show one policy with its rules."""
    with admin() as api:
        found, names = find_policy(api, policy), AgentNames(api)
        show(found, lambda: _print_policy(found, names))


@command(app, "create", example='agentgate policies create "Office hours" rules.json --agent SmartMail')
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.")],
    rules: Rules,
    agent: Annotated[
        str | None, typer.Option(metavar="AGENT", help="An agent's name or id. Default: every agent.")
    ] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")] = None,
    mode: Mode = None,
) -> None:
    """Create a policy. It applies to the next decision.

    What a policy in the mode shadow would deny is shown by: agentgate log --event policy.shadowed
    """
    wanted = read_json_list(rules)
    with admin() as api:
        bound = None if agent is None else agent_id(api, agent)
        policy = api.create_policy(
            name=name, rules=wanted, agent_id=bound, description=description, mode=mode
        )
    show(policy, lambda: print_line(f"Created {policy.id}, mode {policy.mode}."))


@command(app, "update", example='agentgate policies update "Office hours" --mode enforce')
def update(
    policy: PolicyName,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its new name.")] = None,
    rules: OtherRules = None,
    agent: Annotated[str | None, typer.Option(metavar="AGENT", help="Only for this agent.")] = None,
    every_agent: Annotated[bool, typer.Option("--every-agent", help="For every agent.")] = False,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")] = None,
    mode: Mode = None,
) -> None:
    """Change a policy. Options that you leave out change nothing; FILE replaces all rules."""
    if agent is not None and every_agent:
        raise Failure("usage", "Give --agent or --every-agent, not both.", exit_code=USAGE)
    wanted = UNSET if rules is None else read_json_list(rules)
    with admin() as api:
        bound = None if every_agent else UNSET if agent is None else agent_id(api, agent)
        updated = api.update_policy(
            find_policy(api, policy).id,
            name=UNSET if name is None else name,
            description=UNSET if description is None else description,
            agent_id=bound,
            mode=UNSET if mode is None else mode,
            rules=wanted,
        )
        show(updated, lambda: _print_policy(updated, AgentNames(api)))


@command(app, "enable", example='agentgate policies enable "Office hours"')
def enable(policy: PolicyName) -> None:
    """Enable a policy."""
    _set_enabled(policy, enabled=True)


@command(app, "disable", example='agentgate policies disable "Office hours"')
def disable(policy: PolicyName) -> None:
    """Disable a policy without deleting it."""
    _set_enabled(policy, enabled=False)


@command(app, "delete", example='agentgate policies delete "Office hours"')
def delete(policy: PolicyName, yes: Yes = False) -> None:
    """Delete a policy."""
    with admin() as api:
        found = find_policy(api, policy)
        confirm(f"Delete the policy {with_id(found)}?", yes=yes)
        api.delete_policy(found.id)
    show({"id": found.id, "deleted": True}, lambda: print_line(f"Deleted {with_id(found)}."))


def _set_enabled(policy: str, *, enabled: bool) -> None:
    with admin() as api:
        updated = api.update_policy(find_policy(api, policy).id, enabled=enabled)
    state = f"is {'enabled' if updated.enabled else 'disabled'}, mode {updated.mode}"
    show(updated, lambda: print_line(f"{with_id(updated)} {state}."))


def _row(policy: Policy, names: AgentNames) -> tuple[object, ...]:
    types = [rule.type for rule in policy.rules]
    return policy.id, policy.name, _agent(policy, names), policy.mode, _yes_or_no(policy.enabled), types


def _print_policy(policy: Policy, names: AgentNames) -> None:
    print_facts(
        id=policy.id,
        name=policy.name,
        description=policy.description,
        agent=_agent(policy, names),
        mode=policy.mode,
        enabled=_yes_or_no(policy.enabled),
    )
    for rule in policy.rules:
        print_line(json.dumps({"type": rule.type, "config": dict(rule.config)}, ensure_ascii=False))


def _agent(policy: Policy, names: AgentNames) -> str:
    return names.with_id(policy.agent_id) or "every agent"


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"
