"""What the gateway's commands share: the gate, the upstreams, and how changes are written."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..admin import AgentGateAdmin
from ..errors import NotFoundError
from ..gateway import config, editing, lock, upstreams
from ..gateway.examples import missing_root
from ..gateway.files import Files
from ..gateway.inspection import Finding, shown
from ..gateway.proposing import Doubt, asks_by_default
from ..gateway.registration import GUESSED, AnyScope, require_gate
from ..models import ResourceServer, Scope
from . import connection
from .failures import USAGE, Failure
from .output import print_line, print_table

MAX_PRINTED, MAX_NAMES = 50, 20


def gate_url(gateway: config.Gateway | None = None) -> str:
    """Return the URL of the gate, which must be the one of gateway.yaml. Raises Failure."""
    url = gateway.gate if gateway else connection.url()
    require_gate(url)
    return url


def catalogue(gateway: config.Gateway | None = None) -> dict[str, Scope]:
    """Return the catalogue of the gate of gateway.yaml."""
    with connection.visitor(gateway.gate if gateway else None) as api:
        return {scope.id: scope for scope in api.list_scopes()}


def developer(gateway: config.Gateway | None = None) -> AgentGateAdmin:
    """Return a connection as a developer, to the gate of gateway.yaml. Raises Failure."""
    if gateway is not None and connection.url() != gateway.gate:
        detail = f"gateway.yaml is about {gateway.gate}, and you are connected to {connection.url()}."
        raise Failure("other_gate", detail, hint=f"Use --url {gateway.gate}", exit_code=USAGE)
    return connection.admin()


def read_live(prefix: str, upstream: config.Upstream, limits: config.Limits) -> lock.Definitions:
    """Start or call the upstream and read what it offers. Raises Failure."""
    try:
        return asyncio.run(upstreams.read_definitions(prefix, upstream, limits))
    except upstreams.UpstreamError as error:
        hint = "Start it by itself to see what it says."
        if upstream.url is not None:
            hint = "Check its URL and its --header."
        detail = f"The upstream {prefix} {error.problem}."
        if error.said:
            detail = f"The upstream {prefix} {error.problem}: {error.said}"
        raise Failure("upstream_failed", detail, hint=hint) from None


def own_server(api: AgentGateAdmin, server_id: str) -> ResourceServer:
    """Return the resource server of the credential. Raises Failure if it is not the organization's."""
    try:
        return api.get_resource_server(server_id)
    except NotFoundError:
        hint = "Choose its organization with --organization, or move the three files away and run init again."
        raise Failure("not_found", f"{server_id} is not a resource server of yours.", hint=hint) from None


def require_writable(files: Files) -> None:
    """Raise Failure if the files cannot be written, before anything is registered."""
    folder = files.config.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise Failure("file_error", f"{folder.absolute()} is not a folder that you can write to.")
    for path in (files.config, files.lock, files.credential):
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise Failure("file_error", f"{path} is not a plain file. Move it away, or use --config.")


def contents(files: Files) -> tuple[bytes | None, ...]:
    """Return what the configuration and the lock contain, None for one that does not exist."""
    return tuple(path.read_bytes() if path.exists() else None for path in (files.config, files.lock))


def require_same(files: Files, before: tuple[bytes | None, ...]) -> None:
    """Raise Failure if others have changed the files while the user decided: that would be undone."""
    if contents(files) != before:
        detail = f"{files.config} or {files.lock} was changed meanwhile. Nothing was written."
        raise Failure("changed_meanwhile", detail, hint="Run the same command again.")


def new_text(before: str | None, gateway: config.Gateway, earlier: config.Gateway | None) -> tuple[str, bool]:
    """Return the text of gateway.yaml, and whether its comments stay."""
    if before is not None and earlier is not None:
        edited = editing.added(before, gateway, earlier)
        if edited is not None:
            return edited, True
    return config.dump(gateway), before is None


def write(files: Files, text: str, pinned: Mapping[str, lock.Definitions], keeps_comments: bool) -> None:
    """Write the configuration and then the lock, whose change makes a running gateway read both."""
    if not keeps_comments:
        backup = files.config.with_name(f"{files.config.name}.bak")
        lock.replace_file(backup, files.config.read_text(encoding="utf-8"))
    lock.replace_file(files.config, text)
    lock.save(files.lock, dict(pinned))


@contextlib.contextmanager
def explained(what: str, hint: str) -> Iterator[None]:
    """Turn an error of the file system into a Failure that says what is done already."""
    try:
        yield
    except OSError as error:
        raise Failure("file_error", f"{what}, but a file was not written: {error}.", hint=hint) from None


def place(file: Path, text: str, keys: tuple[str, ...]) -> str:
    """Return where a line is, as editors and terminals understand it."""
    for length in range(len(keys), 0, -1):
        if line := editing.line_of(text, keys[:length]):
            return f"{file}:{line}"
    return str(file)


def scope_rows(scopes: Sequence[AnyScope], known: Mapping[str, Scope]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for one in scopes:
        if isinstance(one, str):
            scope = known[one]
            asks = asks_by_default(scope.risk_level, scope.reversible, scope.asks)
            rows.append((one, scope.risk_level, "asks" if asks else "", f"{scope.title} (of the catalogue)"))
        else:
            asks = asks_by_default(one["riskLevel"], one["reversible"], False)
            # What users read of a guess, in every row, is what the operator sees as a mark.
            description = one["description"].removesuffix(f". {GUESSED}")
            risk = one["riskLevel"] if description == one["description"] else f"{one['riskLevel']} (guess)"
            rows.append((one["id"], risk, "asks" if asks else "", f"{one['title']}. {description}"))
    return rows


def print_doubts(doubts: Iterable[Doubt], where: Mapping[Doubt, str]) -> None:
    print_line("")
    print_line("Look at these, because it was unsure:")
    print_causes((where[one], one.name and shown(one.name), one.text) for one in doubts)


def print_causes(rows: Iterable[tuple[str, str, str]]) -> None:
    """Print places, names and texts, with one row for each text: the first place, and all names."""
    causes: dict[str, list[tuple[str, str]]] = {}
    for where, name, text in rows:
        causes.setdefault(text, []).append((where, name))
    for text, found in causes.items():
        names = list(dict.fromkeys(name for _, name in found if name))
        more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        print_line(f"  {found[0][0]}  {', '.join(names[:MAX_NAMES])}{more}".rstrip())
        print_line(f"    {text}")


def print_edits(file: Path, text: str, gateway: config.Gateway) -> None:
    """Print the lines that upstreams lack."""
    for prefix, upstream in gateway.upstreams.items():
        if edit := missing_root(upstream):
            where = place(file, text, ("upstreams", prefix))
            print_line(f"Add this line below `{prefix}:`, at {where}:  {edit}")


def print_findings(findings: Sequence[Finding]) -> None:
    print_line("")
    print_line("Suspicious texts, which a model would read as instructions:")
    rows = [("", one.where, one.problem + (f": {one.excerpt}" if one.excerpt else "")) for one in findings]
    print_table(rows[:MAX_PRINTED])
    if len(rows) > MAX_PRINTED:
        print_line(f"  ... and {len(rows) - MAX_PRINTED} more. --json has all.")
