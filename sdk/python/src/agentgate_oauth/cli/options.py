"""The options of all commands, and the registration of commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

Function = TypeVar("Function", bound=Callable[..., Any])
HAS_SEPARATOR = "agentgate_oauth.has_separator"
MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
Overlap = Annotated[
    int,
    typer.Option("--overlap-seconds", metavar="SECONDS", min=0, help="How much longer the old one works."),
]


@dataclass
class Chosen:
    """The values of the common options."""

    json: bool = False
    url: str | None = None
    organization: str | None = None
    allow_http: bool = False


chosen = Chosen()


def _choose_json(value: bool) -> None:
    chosen.json = value


def _choose_url(value: str | None) -> None:
    chosen.url = value


def _choose_organization(value: str | None) -> None:
    chosen.organization = value


def _choose_http(value: bool) -> None:
    chosen.allow_http = value


def _common(
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON document; errors as JSON on stderr.",
            callback=_choose_json,
            expose_value=False,
            is_eager=True,
        ),
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            envvar="AGENTGATE_URL",
            show_envvar=True,
            help="URL of AgentGate.",
            callback=_choose_url,
            expose_value=False,
        ),
    ] = None,
    organization: Annotated[
        str | None,
        typer.Option(
            "--organization",
            metavar="ORG_ID",
            envvar="AGENTGATE_ORGANIZATION",
            show_envvar=True,
            help="The org_ id of the organization to act for.",
            callback=_choose_organization,
            expose_value=False,
        ),
    ] = None,
    allow_http: Annotated[
        bool,
        typer.Option(
            "--allow-http",
            envvar="AGENTGATE_ALLOW_HTTP",
            show_envvar=True,
            help="Allow plain http to another machine, on a network you trust.",
            callback=_choose_http,
            expose_value=False,
        ),
    ] = False,
) -> None:
    """Declare the common options; `Command` adds them to every command."""


_holder = typer.Typer(add_completion=False)
_holder.command()(_common)
_COMMON = typer.main.get_command(_holder).params


class Command(TyperCommand):
    """A command with the common options after its own."""

    def __init__(self, *args: Any, params: list[Any], **kwargs: Any) -> None:
        super().__init__(*args, params=[*params, *_COMMON], **kwargs)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        # For commands that take another program's command line: without --, its options would be read here.
        ctx.meta[HAS_SEPARATOR] = "--" in args
        return super().parse_args(ctx, args)


class Group(TyperGroup):
    """A group that is also a command, with the common options after its own."""

    def __init__(self, *args: Any, params: list[Any], **kwargs: Any) -> None:
        super().__init__(*args, params=[*params, *_COMMON], **kwargs)


def group(help: str) -> typer.Typer:
    return typer.Typer(help=help, no_args_is_help=True, rich_markup_mode=None)


def command(app: typer.Typer, name: str, *, example: str) -> Callable[[Function], Function]:
    """Register a function as a command. Its help ends in the example."""
    return app.command(name, cls=Command, epilog=_example(example))


def group_command(app: typer.Typer, *, example: str) -> Callable[[Function], Function]:
    """Register a function as what the group does without a command."""
    return app.callback(cls=Group, invoke_without_command=True, epilog=_example(example))


def is_below(context: typer.Context) -> bool:
    """Return whether a command of the group follows. Raises BadParameter for options before it."""
    below = context.invoked_subcommand
    if below is None:
        return False
    sources = ((option, context.get_parameter_source(option.name or "")) for option in context.command.params)
    misplaced = [option.opts[0] for option, source in sources if source and source.name == "COMMANDLINE"]
    if misplaced:
        detail = f"{misplaced[0]} must come after {below}: {context.command_path} {below} {misplaced[0]}"
        raise typer.BadParameter(detail, ctx=context)
    return True


def utc(moment: datetime | None) -> datetime | None:
    """Return the time, in UTC if it has no time zone."""
    return moment.replace(tzinfo=timezone.utc) if moment and moment.tzinfo is None else moment


def _example(example: str) -> str:
    return f"\b\nExample:\n  {example}"
