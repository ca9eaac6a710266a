"""`agentgate verify`: ask for a decision about a token."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Annotated

import typer

from ..errors import AgentGateError
from ..models import Decision
from ..verifier import AgentGateVerifier
from . import connection
from .explanations import decision_in_words
from .failures import REFUSED
from .files import Context, read_context
from .names import agent_with_id
from .output import colored, plain, print_facts, print_line, show


def verify(
    scope: Annotated[
        list[str], typer.Option(metavar="SCOPE", help="A scope that the call needs. Repeat for several.")
    ],
    action: Annotated[
        str | None, typer.Option(metavar="ACTION", help="What the agent does, such as email:send.")
    ] = None,
    resource: Annotated[
        str | None, typer.Option(metavar="URI", help="The identifier of the service that is called.")
    ] = None,
    context: Context = None,
    ip: Annotated[str | None, typer.Option(metavar="ADDRESS", help="The IP address of the agent.")] = None,
) -> None:
    """Ask for a decision about a token. Exits with 0 if it is allowed, 1 if it is denied.

    The token comes from AGENTGATE_TOKEN, a hidden prompt or standard input, because other users of the
    machine can read arguments. The decision counts against limits and is logged. To ask as a resource server,
    set AGENTGATE_RESOURCE_SERVER_ID and AGENTGATE_RESOURCE_SERVER_SECRET.
    """
    about = read_context(context, ip)
    token = connection.read_secret("Token", "AGENTGATE_TOKEN")
    with _verifier() as verifier:
        decision = verifier.verify(token, scope, action=action, resource=resource, context=about)
    show(decision, lambda: _print_decision(decision))
    raise typer.Exit(0 if decision.allowed else REFUSED)


def _verifier() -> AgentGateVerifier:
    return AgentGateVerifier(
        connection.url(),
        os.environ.get("AGENTGATE_RESOURCE_SERVER_ID"),
        os.environ.get("AGENTGATE_RESOURCE_SERVER_SECRET"),
        allow_http=connection.http_allowed(),
    )


def _print_decision(decision: Decision) -> None:
    typer.echo(colored("allowed" if decision.allowed else "denied"))
    facts = {
        "reason": decision.reason,
        "missing_scopes": decision.missing_scopes or None,
        "policy": decision.policy
        and f"{decision.policy.name} ({decision.policy.id}, {decision.policy.rule_type})",
        "retry_after_seconds": decision.retry_after_seconds,
        "approval": decision.approval_url,
        "approval_status": decision.approval_status,
        "user": decision.user_id,
        "agent": _agent(decision),
        "granted_scopes": decision.granted_scopes or None,
        "expires": decision.expires_at and f"{decision.expires_at:%Y-%m-%d %H:%M:%S} UTC",
        "audit_id": decision.audit_id,
    }
    print_facts(**{name: value for name, value in facts.items() if value is not None})
    if decision.reason:
        print_line(decision_in_words(decision))
        typer.echo(f"Why: agentgate explain {plain(decision.audit_id or decision.reason)}", err=True)


def _agent(decision: Decision) -> str | None:
    """Return the agent's name beside its id, if a developer of its organization asks."""
    with suppress(AgentGateError), connection.admin() as api:
        return agent_with_id(api, decision.agent_id)
    return decision.agent_id
