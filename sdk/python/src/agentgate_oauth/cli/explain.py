"""`agentgate explain`: explain a denial."""

from __future__ import annotations

from typing import Annotated

import typer

from ..admin import AgentGateAdmin
from ..errors import KeyLimitedError, NotFoundError
from ..models import AuditEntry, Policy
from .connection import admin
from .explanations import Denial, Explanation, explain_entry, explain_reason
from .output import print_line, show
from .search import find_cause, find_entry


def explain(
    what: Annotated[
        str | None,
        typer.Argument(metavar="LOG_ID|REASON", help="A log_ id or a reason. Default: the latest denial."),
    ] = None,
) -> None:
    """Explain why a request was denied, and what to do."""
    if what is not None and not what.startswith("log_"):
        explanation = explain_reason(what)
        show({"explanation": explanation}, lambda: _print(explanation))
        return
    with admin() as api:
        denial = _describe(api, find_entry(api, what))
    explanation = explain_entry(denial)
    facts = {
        "explanation": explanation,
        "entry": denial.entry,
        "policy": denial.policy,
        "cause": denial.cause,
    }
    show(facts, lambda: _print(explanation))


def _print(explanation: Explanation) -> None:
    for sentence in explanation.sentences:
        print_line(sentence)
    if explanation.what_helps:
        print_line(f"What to do: {explanation.what_helps}")


def _describe(api: AgentGateAdmin, entry: AuditEntry) -> Denial:
    """Return the entry with its agent, policy and cause, if the organization can still see them."""
    agent_name = _agent_name(api, entry.agent_id)
    return Denial(entry, agent_name, _policy(api, entry.policy_id), find_cause(api, entry))


def _agent_name(api: AgentGateAdmin, agent_id: str | None) -> str | None:
    """Return the agent's name, None for an agent of another organization."""
    try:
        return api.get_agent(agent_id).name if agent_id else None
    except NotFoundError:
        return None


def _policy(api: AgentGateAdmin, policy_id: str | None) -> Policy | None:
    """Return the current version of the policy, None if it was deleted, or for a key that may not read it."""
    try:
        return api.get_policy(policy_id) if policy_id else None
    except (NotFoundError, KeyLimitedError):
        return None
