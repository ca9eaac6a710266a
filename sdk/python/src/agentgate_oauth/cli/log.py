"""`agentgate log` and `agentgate explain`: what happened, and why something was denied."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Annotated

import typer

from ..admin import AgentGateAdmin
from ..errors import AgentGateError, NotFoundError
from ..models import AuditEntry, Policy
from .account import admin
from .explanations import explain_entry
from .output import out, plain

# Entries become visible a little out of order, so each look goes back over the last minute.
_LOOK_BACK = timedelta(seconds=60)
_MOST_SEARCHED = 5000


def log(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing what happens.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0)] = 20,
    agent: Annotated[str | None, typer.Option(help="Only this agent.")] = None,
    event: Annotated[str | None, typer.Option(help="Only this event, such as token.verify.")] = None,
    outcome: Annotated[str | None, typer.Option(help="allowed, denied or info.")] = None,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between looks.")] = 2.0,
) -> None:
    """Print the newest entries of the log, oldest first."""
    api = admin()
    began = datetime.now(timezone.utc)
    newest = list(islice(api.iter_audit_logs(agent_id=agent, event=event, outcome=outcome), lines))
    _print_entries(newest)
    seen = {entry.id for entry in newest}
    while follow:
        time.sleep(every)
        since = max(began, datetime.now(timezone.utc) - _LOOK_BACK)
        recent = list(api.iter_audit_logs(agent_id=agent, event=event, outcome=outcome, since=since))
        _print_entries([entry for entry in recent if entry.id not in seen])
        seen = {entry.id for entry in recent}


def explain(
    audit_id: Annotated[str | None, typer.Argument(help="A log_ id; without it, the last denial.")] = None,
) -> None:
    """Say in plain words why something was denied, and what would help."""
    api = admin()
    entry = _find(api, audit_id)
    out.print(plain(explain_entry(entry, _policy_of(api, entry))), soft_wrap=True)


def _find(api: AgentGateAdmin, audit_id: str | None) -> AuditEntry:
    outcome = None if audit_id else "denied"
    entries = islice(api.iter_audit_logs(outcome=outcome), _MOST_SEARCHED)
    found = next((entry for entry in entries if audit_id in (None, entry.id)), None)
    if found is None:
        searched = f"in the last {_MOST_SEARCHED} entries" if audit_id else "in the log"
        raise AgentGateError(f"there is no such denial {searched}")
    return found


def _policy_of(api: AgentGateAdmin, entry: AuditEntry) -> Policy | None:
    try:
        return api.get_policy(entry.policy_id) if entry.policy_id else None
    except NotFoundError:
        return None


def _print_entries(newest_first: list[AuditEntry]) -> None:
    colours = {"allowed": "green", "denied": "red"}
    for entry in reversed(newest_first):
        about = (
            entry.reason,
            entry.action,
            " ".join(entry.scopes or ()),
            entry.agent_id,
            entry.user_id,
            entry.id,
        )
        colour = colours.get(entry.outcome, "default")
        line = " ".join(plain(part) for part in about if part)
        stamp = f"{entry.timestamp:%Y-%m-%d %H:%M:%S}"
        out.print(f"{stamp} {plain(entry.event)} [{colour}]{plain(entry.outcome)}[/] {line}", soft_wrap=True)
