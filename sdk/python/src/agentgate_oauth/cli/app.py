"""All commands in one place, and what happens when one fails."""

from __future__ import annotations

import typer

from ..errors import AgentGateError, AuthenticationError
from . import account, agents, log, policies, tokens
from .output import errors

# Variables stay out of tracebacks: they may be secrets.
app = typer.Typer(
    help="AgentGate from the command line: agents, policies, the log, and why something was denied.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.command("login")(account.login)
app.command("logout")(account.logout)
app.add_typer(agents.app, name="agents")
app.add_typer(policies.app, name="policies")
app.command("log")(log.log)
app.command("verify")(tokens.verify)
app.command("explain")(log.explain)


def run() -> None:
    try:
        app()
    except AuthenticationError as error:
        errors.print(f"{error}\nSign in with: agentgate login", markup=False)
        raise SystemExit(1) from None
    except (AgentGateError, ValueError) as error:
        errors.print(str(error), markup=False)
        raise SystemExit(1) from None
