"""`agentgate gateway init`: propose, show, ask, register, write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import randint
from typing import Any
from urllib.parse import urlsplit

import typer

from ..admin import AgentGateAdmin
from ..errors import AgentGateError, ConflictError
from ..gateway import config, lock
from ..gateway.checking import check_shared
from ..gateway.files import Credential, Files, load_credential, save_credential
from ..gateway.given import folders_of, prefix_of, root_of, upstream_of
from ..gateway.inspection import Finding, inspect, shown, usable
from ..gateway.proposing import Doubt, Proposer
from ..gateway.registration import lines_of, merged, scope_id, scopes_of
from ..models import Scope
from .confirmation import confirm
from .failures import USAGE, Failure
from .gateway_common import (
    catalogue,
    contents,
    developer,
    explained,
    gate_url,
    new_text,
    own_server,
    place,
    print_doubts,
    print_edits,
    print_findings,
    read_live,
    require_same,
    require_writable,
    scope_rows,
    write,
)
from .options import chosen
from .output import print_line, print_table, show

DEFAULT_IDENTIFIER = "http://127.0.0.1:9000/mcp"


@dataclass(frozen=True)
class Options:
    words: Sequence[str]
    name: str | None
    identifier: str | None
    prefix: str | None
    variables: Sequence[str]
    headers: Sequence[str]
    file: Path
    replace: bool
    dry_run: bool
    yes: bool


@dataclass(frozen=True)
class Plan:
    """All that init would do. `before` is the gateway so far, None if there is none."""

    files: Files
    seen: tuple[bytes | None, ...]
    prefix: str
    before: config.Gateway | None
    gateway: config.Gateway
    text: str
    keeps_comments: bool
    pinned: Mapping[str, lock.Definitions]
    known: Mapping[str, Scope]
    scopes: Sequence[Any]
    doubts: Sequence[Doubt]
    findings: Sequence[Finding]


def initialize(options: Options) -> None:
    plan = _plan(options)
    if not chosen.json:
        _print_plan(plan)
    if options.dry_run:
        show(_document(plan, None), lambda: print_line("Nothing was registered or written (--dry-run)."))
        return
    with developer() as api:
        identifier = plan.gateway.identifier
        what = (
            f"Add these scopes to {identifier}" if plan.before else f"Register {identifier} with these scopes"
        )
        question = f"{what} at {plan.gateway.gate}, and write {plan.files.config}?"
        other = "ask each time for what is guessed low" if _guessed_low(plan) else ""
        if confirm(question, yes=options.yes, other=other):
            plan = _asking(plan)
        require_same(plan.files, plan.seen)
        server_id = _extend(api, plan) if plan.before else _register(api, plan)
    show(_document(plan, server_id), lambda: _print_next(plan, server_id))


def _plan(options: Options) -> Plan:
    files = Files(options.file)
    require_writable(files)
    upstream = upstream_of(options.words, options.variables, options.headers)
    seen = contents(files)
    before = config.load(files.config) if files.config.exists() else None
    if before is None and files.credential.exists():
        detail = f"{files.credential} exists, and {files.config} does not."
        raise Failure("file_error", detail, hint="Restore it, or move the credential away.")
    known = catalogue(before)
    reserved = {scope.partition(":")[0] for scope in known}
    prefix = _checked_prefix(options, reserved, before)
    gate = gate_url(before)
    if not options.dry_run:
        developer(before).close()  # a missing sign-in is reported before the server starts
    _tell(f"Reading what {prefix} offers ...")
    live = read_live(prefix, upstream, before.limits if before else config.Limits())
    folders = folders_of(upstream)
    root = root_of(folders)
    if root is not None:
        upstream = upstream.model_copy(update={"root": root})
    name = _chosen_name(options, prefix, before)
    others = {key: one for key, one in before.upstreams.items() if key != prefix} if before else {}
    own = _others_scopes(before, others)
    proposer = Proposer(prefix, name, root, known, own)
    proposed = proposer.propose(upstream, live)
    if len(folders) > 1:
        text = f"it serves several folders, so `root` is what contains them: {root or '/'}"
        proposer.doubts.append(Doubt("root", "", text))
    if _collides(proposed, others):
        proposed = proposed.model_copy(update={"prefixed": True})
        text = "another upstream has tools of the same names, so clients see them with a prefix"
        proposer.doubts.append(Doubt("prefixed", "", text))
    gateway = config.Gateway(
        version=1,
        gate=gate,
        name=name,
        identifier=_checked_identifier(options, before),
        upstreams={**others, prefix: proposed},
        scopes={**own, **proposer.scopes},
        limits=before.limits if before else config.Limits(),
    )
    earlier = files.config.read_text(encoding="utf-8") if before else None
    text, keeps_comments = new_text(earlier, gateway, before)
    pinned = {**(lock.load(files.lock) if before else {}), prefix: usable(live)}
    for one in check_shared(config.parse(text, str(files.config)), pinned):
        proposer.doubts.append(Doubt("", "", f"{shown(one.keys[-1])} of {one.keys[1]} {one.text}"))
    findings = inspect(live, [tool for one in others.values() for tool in one.tools])
    return Plan(
        files,
        seen,
        prefix,
        before,
        gateway,
        text,
        keeps_comments,
        pinned,
        known,
        scopes_of(gateway, known),
        proposer.doubts,
        findings,
    )


def _guessed_low(plan: Plan) -> set[str]:
    """Return the scopes of tools that only seem to read, and that do not ask."""
    lines = plan.gateway.upstreams[plan.prefix].tools.values()
    return {line.scope for line in lines if line.guessed and not line.asks}


def _asking(plan: Plan) -> Plan:
    """Return the plan in which these scopes are high, and ask each time."""
    guessed = _guessed_low(plan)
    upstream = plan.gateway.upstreams[plan.prefix]
    tools = {
        name: line.model_copy(update={"risk": "high", "asks": True}) if line.scope in guessed else line
        for name, line in upstream.tools.items()
    }
    upstreams = {**plan.gateway.upstreams, plan.prefix: upstream.model_copy(update={"tools": tools})}
    gateway = plan.gateway.model_copy(update={"upstreams": upstreams})
    earlier = plan.files.config.read_text(encoding="utf-8") if plan.before else None
    text, keeps_comments = new_text(earlier, gateway, plan.before)
    scopes = scopes_of(gateway, plan.known)
    return replace(plan, gateway=gateway, text=text, keeps_comments=keeps_comments, scopes=scopes)


def _register(api: AgentGateAdmin, plan: Plan) -> str:
    """Register the resource server and write the files. Undo the first if the second fails."""
    gateway = plan.gateway
    try:
        server = api.create_resource_server(
            name=gateway.name, identifier=gateway.identifier, scopes=plan.scopes
        )
    except ConflictError as error:
        raise _conflict(error, plan) from None
    try:
        text = plan.text
        if server.identifier != gateway.identifier:
            text = config.dump(gateway.model_copy(update={"identifier": server.identifier}))
        save_credential(plan.files.credential, Credential(server.id, server.secret))
        write(plan.files, text, plan.pinned, plan.keeps_comments)
    except (OSError, AgentGateError) as error:
        _undo(api, server.id, plan.files, error)
    return server.id


def _undo(api: AgentGateAdmin, server_id: str, files: Files, error: Exception) -> None:
    """Delete what was registered and written. Raises Failure."""
    for path in (files.credential, files.config, files.lock):
        with suppress(OSError):
            path.unlink(missing_ok=True)
    hint = "Nothing is left of it. Make the folder writable, and run it again."
    try:
        api.delete_resource_server(server_id)
    except AgentGateError:
        hint = f"Delete what is registered with: agentgate resource-servers delete {server_id}"
    raise Failure("file_error", f"A file was not written: {error}.", hint=hint) from None


def _extend(api: AgentGateAdmin, plan: Plan) -> str:
    """Add scopes to the resource server, and write the files."""
    credential = load_credential(plan.files.credential)
    server = own_server(api, credential.id)
    before = plan.before
    dropped: set[str] = set()
    if before is not None and plan.prefix in before.upstreams:
        dropped = {line.scope for _, line in lines_of(before)} - {
            line.scope for _, line in lines_of(plan.gateway)
        }
    try:
        api.update_resource_server(server.id, scopes=merged(server.scopes, plan.scopes, dropped))
    except ConflictError as error:
        raise _conflict(error, plan) from None
    hint = "The scopes are registered. Make the folder writable, and run the same command again."
    with explained("The scopes were registered", hint):
        write(plan.files, plan.text, plan.pinned, plan.keeps_comments)
    return server.id


def _conflict(error: ConflictError, plan: Plan) -> Failure:
    hints = {
        "scope_prefix_taken": f"Choose another one: --prefix {plan.prefix[:25]}-of-...",
        "identifier_taken": f"Choose another one: --identifier http://127.0.0.1:{randint(9100, 9999)}/mcp. "
        "If it is yours, run init in its folder, or delete it with: agentgate resource-servers delete",
    }
    detail = f"Nothing was registered or written. {error.detail or error.code}"
    return Failure(error.code, detail, hint=hints.get(error.code, ""))


def _checked_prefix(options: Options, reserved: set[str], before: config.Gateway | None) -> str:
    prefix = options.prefix or prefix_of(options.words, reserved)
    if not _is_prefix(prefix):
        detail = "The prefix must be 2 to 40 lower-case letters, digits and hyphens, such as notes."
        raise Failure("invalid_prefix", detail, exit_code=USAGE)
    if prefix in reserved:
        detail = f"The prefix {prefix} is reserved for the catalogue of scopes."
        raise Failure("invalid_prefix", detail, hint=f"Use --prefix {prefix}-mcp", exit_code=USAGE)
    exists = before is not None and prefix in before.upstreams
    if exists and not options.replace:
        detail = f"{options.file} has an upstream {prefix} already."
        hint = f"Replace it with --replace, or name this one: --prefix {prefix}-2"
        raise Failure("upstream_exists", detail, hint=hint, exit_code=USAGE)
    if options.replace and not exists:
        detail = f"{options.file} has no upstream {prefix} to replace."
        raise Failure("unknown_upstream", detail, exit_code=USAGE)
    return prefix


def _is_prefix(prefix: str) -> bool:
    characters = set(prefix) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    return characters and prefix[:1].isalpha() and 2 <= len(prefix) <= 40


def _checked_identifier(options: Options, before: config.Gateway | None) -> str:
    if before is not None:
        _require_same("identifier", options.identifier, before.identifier, options.file)
        return before.identifier
    identifier = options.identifier or DEFAULT_IDENTIFIER
    parts = urlsplit(identifier)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        detail = "The identifier must be an http or https URL without a query, such as " + DEFAULT_IDENTIFIER
        raise Failure("invalid_identifier", detail, exit_code=USAGE)
    if "%" in identifier or parts.username is not None:
        detail = "The identifier must have no user name and no escaped characters."
        raise Failure("invalid_identifier", detail, exit_code=USAGE)
    return identifier


def _chosen_name(options: Options, prefix: str, before: config.Gateway | None) -> str:
    if before is not None:
        _require_same("name", options.name, before.name, options.file)
        return before.name
    return options.name or prefix.replace("-", " ").capitalize()


def _require_same(what: str, given: str | None, have: str, file: Path) -> None:
    if given not in (None, have):
        detail = f"{file} has the {what} {have} already, and one gateway has one."
        raise Failure(
            "already_set", detail, hint=f"Leave out --{what}, or use another --config.", exit_code=USAGE
        )


def _others_scopes(
    before: config.Gateway | None, others: Mapping[str, config.Upstream]
) -> dict[str, config.OwnScope]:
    """Return the own scopes that other upstreams need. Those of a replaced one are proposed again."""
    if before is None:
        return {}
    remaining = before.model_copy(update={"upstreams": others})
    needed = {line.scope for _, line in lines_of(remaining)}
    return {name: scope for name, scope in before.scopes.items() if name in needed}


def _collides(upstream: config.Upstream, others: Mapping[str, config.Upstream]) -> bool:
    names = {config.exposed_name(key, one, tool) for key, one in others.items() for tool in one.tools}
    return not names.isdisjoint(upstream.tools)


def _document(plan: Plan, server_id: str | None) -> dict[str, object]:
    upstream = plan.gateway.upstreams[plan.prefix]
    return {
        "file": str(plan.files.config),
        "resourceServerId": server_id,
        "upstream": plan.prefix,
        "tools": {name: line.model_dump(mode="json", by_alias=True) for name, line in upstream.tools.items()},
        "resources": {uri: line.model_dump(mode="json") for uri, line in upstream.resources.items()},
        "prompts": {name: line.model_dump(mode="json") for name, line in upstream.prompts.items()},
        "scopes": plan.scopes,
        "unsure": [{"place": _place(plan, one), "name": one.name, "text": one.text} for one in plan.doubts],
        "suspicious": plan.findings,
    }


def _place(plan: Plan, doubt: Doubt) -> str:
    keys = ("upstreams", plan.prefix, doubt.kind, *([doubt.name] if doubt.name else []))
    return place(plan.files.config, plan.text, keys)


def _print_plan(plan: Plan) -> None:
    upstream = plan.gateway.upstreams[plan.prefix]
    rows: list[tuple[object, ...]] = [("tool", "scope", "risk", "asks", "what verify sees", "labels")]
    for name, line in upstream.tools.items():
        rows.append(
            (
                shown(name),
                line.scope,
                f"{line.risk} (guess)" if line.guessed else line.risk,
                "asks" if line.asks else "",
                _seen(line),
                line.labels,
            )
        )
    print_table(rows)
    others = {"resources": upstream.resources, "prompts": upstream.prompts}
    for kind, lines in others.items():
        if lines:
            what = kind if len(lines) > 1 else kind.removesuffix("s")
            print_line(f"{len(lines)} {what}: {', '.join(sorted({line.scope for line in lines.values()}))}")
    if plan.doubts:
        print_doubts(plan.doubts, {one: _place(plan, one) for one in plan.doubts})
    if plan.findings:
        print_findings(plan.findings)
    print_line("")
    needed = {line.scope for keys, line in lines_of(plan.gateway) if keys[1] == plan.prefix}
    print_line(f"The resource server {plan.gateway.name}, {plan.gateway.identifier}, accepts these scopes:")
    print_table(scope_rows([one for one in plan.scopes if scope_id(one) in needed], plan.known))
    if not plan.keeps_comments:
        print_line(
            f"\n{plan.files.config} is written as a whole: its comments are kept in {plan.files.config}.bak"
        )


def _seen(line: config.ToolLine) -> str:
    context = line.context
    fields = {"recipient": context.recipient, "target": context.target, "text": context.text}
    seen = [f"{name}: {'+'.join(one.arguments)}" for name, one in fields.items() if one is not None]
    return "; ".join([*seen, *([f"amount: {context.amount.argument}"] if context.amount else [])])


def _print_next(plan: Plan, server_id: str) -> None:
    files = plan.files
    verb = "Added to" if plan.before else "Registered"
    print_line("")
    print_line(f"{verb} {plan.gateway.name} ({server_id}). Wrote {files.config}, {files.lock}")
    if not plan.before:
        print_line(f"and {files.credential}, which only you can read: keep it out of git, with the line")
        print_line(f"  {files.credential.name}")
        print_line("in .gitignore.")
    extra = "" if files.config == Path("gateway.yaml") else f" --config {files.config}"
    print_line(f"Edit {files.config} as you like, then: agentgate gateway check{extra}")
    print_line(f"Start it with: agentgate gateway run{extra}")
    print_edits(files.config, plan.text, plan.gateway)


def _tell(text: str) -> None:
    if not chosen.json:
        typer.echo(text, err=True)
