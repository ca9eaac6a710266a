"""`agentgate policies simulate` and `replay`: try a policy before it is in force."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from ..admin import AgentGateAdmin
from ..models import Replay, Simulation
from .connection import admin
from .failures import REFUSED, USAGE, Failure
from .files import Context, read_context, read_json_list
from .names import AgentNames, agent_id, find_policy, with_id
from .options import MOMENTS, command, utc
from .output import colored, print_facts, print_line, print_table, show
from .policies import OtherRules, app

Tried = Annotated[
    str | None,
    typer.Argument(metavar="POLICY", help="Its name or pol_ id. With --rules, they take its place."),
]


@command(
    app, "simulate", example='agentgate policies simulate "Office hours" --agent SmartMail --scope email:send'
)
def simulate(
    agent: Annotated[str, typer.Option(metavar="AGENT", help="The agent that calls: a name or id.")],
    scope: Annotated[
        list[str], typer.Option(metavar="SCOPE", help="A scope that the call needs. Repeat for several.")
    ],
    policy: Tried = None,
    rules: OtherRules = None,
    action: Annotated[str | None, typer.Option(metavar="ACTION", help="What the agent does.")] = None,
    user: Annotated[str | None, typer.Option(metavar="USER", help="For this user: a usr_ id.")] = None,
    resource: Annotated[
        str | None, typer.Option(metavar="URI", help="The service or resource that is called.")
    ] = None,
    context: Context = None,
    ip: Annotated[str | None, typer.Option(metavar="ADDRESS", help="The IP address of the agent.")] = None,
    at: Annotated[
        datetime | None, typer.Option(metavar="TIME", formats=MOMENTS, help="In UTC. Default: now.")
    ] = None,
) -> None:
    """Show what a policy says of one call. Exits with 0 if it passes, 1 if it is denied or the user is asked.

    Nothing is written or counted.
    """
    about = {"action": action, "user_id": user, "resource": resource, "at": utc(at)}
    given = {name: value for name, value in about.items() if value is not None}
    body = {"required_scopes": scope, "context": read_context(context, ip) or {}, **given}
    with admin() as api:
        tried = _draft(api, policy, rules)
        found = api.simulate(request={"agent_id": agent_id(api, agent), **body}, **tried)
    show(found, lambda: _print_simulation(found))
    raise typer.Exit(REFUSED if found.outcome in ("denied", "asked") else 0)


@command(app, "replay", example='agentgate policies replay "Office hours" --rules rules.json --days 7')
def replay(
    policy: Tried = None,
    rules: OtherRules = None,
    days: Annotated[int, typer.Option(metavar="NUMBER", min=1, max=30, help="How many days of the log.")] = 7,
) -> None:
    """Decide the last days of the log again, and count what a policy would change.

    Nothing is written or counted. It can take 20 seconds.
    """
    with admin() as api:
        found = api.replay(days=days, **_draft(api, policy, rules))
        show(found, lambda: _print_replay(api, found))


def _draft(api: AgentGateAdmin, policy: str | None, rules: typer.FileText | None) -> dict[str, Any]:
    """Return what to try: a stored policy, a draft, or a draft in the place of a stored policy."""
    if policy is None and rules is None:
        raise Failure("usage", "Give a POLICY, --rules FILE, or both.", exit_code=USAGE)
    draft: dict[str, Any] = {} if rules is None else {"rules": read_json_list(rules)}
    if policy is None:
        return {"policy": draft}
    found = find_policy(api, policy)
    return {"policy_id": found.id, "policy": {**draft, "agent_id": found.agent_id} if draft else None}


def _print_simulation(found: Simulation) -> None:
    typer.echo(colored(found.outcome))
    print_table(
        (
            f"rule {rule.rule_index + 1}",
            rule.rule_type,
            rule.outcome,
            rule.detail,
            _retry(rule.retry_after_seconds),
        )
        for rule in found.trace
    )


def _retry(seconds: int | None) -> str:
    return "" if seconds is None else f"retry after {seconds} s"


def _print_replay(api: AgentGateAdmin, found: Replay) -> None:
    gaps = found.undecided
    print_facts(
        decisions=found.decisions,
        newly_denied=found.newly_denied,
        newly_asked=found.newly_asked,
        newly_allowed=found.newly_allowed,
        undecided=f"context too long {gaps.truncated}, erased {gaps.erased}, hidden {gaps.hidden}",
    )
    if found.truncated:
        print_line("It ended early, and lacks the newest decisions.")
    if not found.changes:
        return
    agents, policies = AgentNames(api), {policy.id: with_id(policy) for policy in api.iter_policies()}
    rows = (
        (
            agents.with_id(change.agent_id),
            policies.get(change.policy_id, change.policy_id) if change.policy_id else "the draft",
            f"{change.rule_index + 1} {change.rule_type}",
            change.newly_denied,
            change.newly_asked,
            change.newly_allowed,
        )
        for change in found.changes
    )
    print_table([("agent", "policy", "rule", "denied", "asked", "allowed"), *rows])
