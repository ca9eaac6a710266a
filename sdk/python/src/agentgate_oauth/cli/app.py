"""All commands, and how errors are reported."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .._version import VERSION
from . import (
    account,
    agents,
    connection,
    delegations,
    events,
    explain,
    export,  # noqa: F401 - adds a command to `log`
    gateway,
    keys,
    log,
    members,
    organizations,
    policies,
    resource_servers,
    scopes,
    tokens,
    trials,  # noqa: F401 - adds commands to `policies`
)
from .failures import Report, print_report, report_of
from .options import command


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"agentgate {VERSION}")
        raise typer.Exit


# Tracebacks must not print variables, which may be secrets.
app = typer.Typer(
    help="Manage organizations, agents and policies, read the log, and explain denials.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


command(app, "login", example="agentgate login --url https://api.agentgate.dev")(account.login)
command(app, "logout", example="agentgate logout")(account.logout)
command(app, "whoami", example="agentgate whoami")(account.whoami)
app.add_typer(organizations.app, name="organizations")
app.add_typer(members.app, name="members")
app.add_typer(members.invitations, name="invitations")
app.add_typer(keys.app, name="keys")
app.add_typer(agents.app, name="agents")
app.add_typer(delegations.app, name="delegations")
app.add_typer(policies.app, name="policies")
app.add_typer(resource_servers.app, name="resource-servers")
app.add_typer(scopes.app, name="scopes")
app.add_typer(gateway.app, name="gateway")
app.add_typer(log.app, name="log")
command(app, "events", example="agentgate events --follow --types 'consent.*' --cursor-file events.cursor")(
    events.events
)
command(app, "verify", example="agentgate verify --scope email:send < token")(tokens.verify)
command(app, "explain", example="agentgate explain")(explain.explain)


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 success, 1 denied or failed, 2 usage error."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(given, prog_name="agentgate", standalone_mode=False)
    except typer.Abort:
        print_report(Report("Aborted.", {"code": "aborted", "detail": "Aborted."}), as_json="--json" in given)
        return 1
    except Exception as error:
        report = report_of(error, connection.url)
        if report is None:
            raise
        print_report(report, as_json="--json" in given)
        return report.exit_code
    return code if isinstance(code, int) else 0
