"""`agentgate verify`: what AgentGate says of a token."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from .._base import http_allowed_by_environment
from ..models import Decision
from ..verifier import AgentGateVerifier
from .account import base_url
from .output import errors, out, print_facts


def verify(
    scope: Annotated[list[str], typer.Option(help="A scope that is needed. Repeat for several.")],
    action: Annotated[str | None, typer.Option()] = None,
    resource: Annotated[str | None, typer.Option()] = None,
    ip: Annotated[str | None, typer.Option(help="The address to decide for.")] = None,
) -> None:
    """Ask for a decision about a token, read from AGENTGATE_TOKEN, standard input, or a hidden prompt.

    Never from an argument, which other users of the machine could see. The decision counts and is logged.
    AGENTGATE_RESOURCE_SERVER_ID and AGENTGATE_RESOURCE_SERVER_SECRET are a resource server's credential.
    Exits 0 when allowed, 2 when denied.
    """
    with AgentGateVerifier(
        base_url(),
        os.environ.get("AGENTGATE_RESOURCE_SERVER_ID"),
        os.environ.get("AGENTGATE_RESOURCE_SERVER_SECRET"),
        allow_http=http_allowed_by_environment(),
    ) as verifier:
        context = {"ip": ip} if ip else None
        decision = verifier.verify(_read_token(), scope, action=action, resource=resource, context=context)
    _print_decision(decision)
    raise typer.Exit(0 if decision.allowed else 2)


def _read_token() -> str:
    token = os.environ.get("AGENTGATE_TOKEN")
    if token is None and sys.stdin.isatty():
        token = typer.prompt("Token", hide_input=True, err=True)
    return (token or sys.stdin.read()).strip()


def _print_decision(decision: Decision) -> None:
    out.print("[green]allowed[/]" if decision.allowed else "[red]denied[/]")
    facts = {
        "reason": decision.reason,
        "missing_scopes": decision.missing_scopes or None,
        "policy": decision.policy and f"{decision.policy.name} ({decision.policy.rule_type})",
        "retry_after_seconds": decision.retry_after_seconds,
        "approval": decision.approval_url,
        "user": decision.user_id,
        "agent": decision.agent_id,
        "granted_scopes": decision.granted_scopes or None,
        "expires": decision.expires_at,
        "audit_id": decision.audit_id,
    }
    print_facts(**{name: value for name, value in facts.items() if value is not None})
    if not decision.allowed and decision.audit_id:
        errors.print(f"Why: agentgate explain {decision.audit_id}", markup=False, highlight=False)
