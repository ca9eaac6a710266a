"""`agentgate log`: print the organization's audit log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Annotated

import typer

from ..admin import AgentGateAdmin
from ..models import AuditEntry
from .connection import admin
from .names import AgentNames, agent_id
from .options import chosen, group_command, is_below
from .output import colored, plain, print_json, show
from .search import metadata_of, shifted

# Entries become visible slightly out of order, so each poll reads a minute again.
_OVERLAP = 60

Read = Callable[[datetime | None], Iterator[AuditEntry]]
app = typer.Typer(help="Print the audit log, or export it.", rich_markup_mode=None)


@group_command(app, example="agentgate log --follow --outcome denied")
def log(
    context: typer.Context,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep printing new entries; with --json, one per line.")
    ] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", metavar="NUMBER", min=0, help="Number of entries.")
    ] = 20,
    agent: Annotated[str | None, typer.Option(metavar="AGENT", help="Only this agent: a name or id.")] = None,
    user: Annotated[str | None, typer.Option(metavar="USER", help="Only this user: a usr_ id.")] = None,
    event: Annotated[
        str | None, typer.Option(metavar="EVENT", help="Only this event, such as token.verify.")
    ] = None,
    outcome: Annotated[str | None, typer.Option(metavar="OUTCOME", help="allowed, denied or info.")] = None,
    chain: Annotated[
        str | None,
        typer.Option(
            metavar="CHAIN",
            help="Only what an agent did or handed on, or what was done by a delegation: an agt_ or del_ id.",
        ),
    ] = None,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.5, help="Seconds between polls with --follow.")
    ] = 2.0,
) -> None:
    """Print the newest entries of the log, oldest first."""
    if is_below(context):
        return
    with admin() as api:
        wanted = None if agent is None else agent_id(api, agent)

        def read(since: datetime | None) -> Iterator[AuditEntry]:
            return api.iter_audit_logs(
                agent_id=wanted, user_id=user, event=event, outcome=outcome, chain=chain, since=since
            )

        newest = list(islice(read(None), max(lines, 1)))
        shown = newest[:lines][::-1]
        if not follow:
            show({"items": shown}, lambda: _print_entries(api, shown))
            return
        _print_entries(api, shown)
        _follow(api, read, newest, every)


def _follow(api: AgentGateAdmin, read: Read, newest: list[AuditEntry], every: float) -> None:
    """Print new entries until interrupted. Only the times of entries count, because clocks differ."""
    began = since = newest[0].timestamp if newest else None
    seen = {entry.id for entry in newest}
    while True:
        time.sleep(every)
        recent = list(read(since))
        _print_entries(api, [entry for entry in reversed(recent) if entry.id not in seen])
        if recent:
            overlapping = shifted(recent[0].timestamp, -_OVERLAP)
            since = max(began, overlapping) if began else overlapping
            seen = {entry.id for entry in recent}


def _print_entries(api: AgentGateAdmin, entries: list[AuditEntry]) -> None:
    names = AgentNames(api)
    for entry in entries:
        if chosen.json:
            print_json(entry)
        else:
            typer.echo(_line(entry, names))


def _line(entry: AuditEntry, names: AgentNames) -> str:
    about = (
        entry.reason,
        _policy(entry),
        entry.action,
        " ".join(entry.scopes or ()),
        names.with_id(entry.agent_id),
        f"from {names.with_id(entry.chain[-2].agent_id)}" if len(entry.chain) > 1 else None,
        entry.user_id,
        entry.id,
    )
    stamp = f"{entry.timestamp:%Y-%m-%d %H:%M:%S}"
    parts = [stamp, plain(entry.event), colored(entry.outcome), *(plain(part) for part in about if part)]
    return " ".join(parts)


def _policy(entry: AuditEntry) -> str | None:
    """Return the policy's name when it decided, and its id."""
    name = metadata_of(entry).get("policyName")
    return f"{name} ({entry.policy_id})" if name and entry.policy_id else entry.policy_id
