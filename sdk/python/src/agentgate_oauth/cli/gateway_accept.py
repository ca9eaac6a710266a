"""`agentgate gateway accept`: show what MCP servers changed, and pin it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..gateway import config, lock
from ..gateway.accepting import accept, is_named
from ..gateway.files import Files, load_credential
from ..gateway.inspection import inspect_change, shown, unusable, usable
from ..gateway.pinning import differences
from ..gateway.proposing import Doubt
from ..gateway.registration import changed, merged, scopes_of
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
    print_findings,
    read_live,
    require_same,
    require_writable,
    scope_rows,
    write,
)
from .options import chosen
from .output import print_line, print_table, show


@dataclass(frozen=True)
class Found:
    """A change of one upstream."""

    prefix: str
    change: lock.Change
    live: lock.Definitions


def accept_changes(
    names: Sequence[str], *, every: bool, upstream: str | None, scopes: bool, file: Path, yes: bool
) -> None:
    files = Files(file)
    require_writable(files)
    seen = contents(files)
    gateway = config.load(files.config)
    if upstream is not None and upstream not in gateway.upstreams:
        detail = f"{file} has no upstream {upstream}. It has {', '.join(gateway.upstreams)}."
        raise Failure("unknown_upstream", detail, exit_code=USAGE)
    pinned = lock.load(files.lock)
    found, refused = _find(gateway, pinned, upstream) if names or every or not scopes else ([], {})
    accepted = found if every else _chosen(found, refused, names, gateway)
    if not accepted and not scopes:
        _list(found, refused)
        return
    _accept(files, seen, gateway, pinned, accepted, scopes=scopes, yes=yes)


def _find(gateway: config.Gateway, pinned: lock.Lock, only: str | None) -> tuple[list[Found], dict[str, str]]:
    """Return what can be accepted, and the names of what cannot, with why."""
    found, refused = [], dict[str, str]()
    for prefix, upstream in gateway.upstreams.items():
        if only in (None, prefix):
            offered = read_live(prefix, upstream, gateway.limits)
            live = usable(offered)
            refused |= {name: problem for _, name, problem in unusable(offered)}
            before = pinned.get(prefix, lock.Definitions())
            found += [Found(prefix, one, live) for one in differences(before, live)]
    return found, refused


def _chosen(
    found: list[Found], refused: Mapping[str, str], names: Sequence[str], gateway: config.Gateway
) -> list[Found]:
    """Return the changes with these names. Raises Failure if a name has none."""
    for name in names:
        if name in refused:
            raise Failure("cannot_be_accepted", f"{shown(name)} {refused[name]}.")
        if not any(is_named(one.change, [name], one.prefix, gateway.upstreams[one.prefix]) for one in found):
            detail = f"{shown(name)} does not differ from its pinned definition."
            raise Failure("nothing_to_accept", detail, hint="See what differs with: agentgate gateway accept")
    return [one for one in found if is_named(one.change, names, one.prefix, gateway.upstreams[one.prefix])]


def _list(found: list[Found], refused: Mapping[str, str]) -> None:
    def text() -> None:
        for name, problem in refused.items():
            print_line(f"{shown(name)} {problem}.")
        if not found:
            print_line("Nothing differs from the pinned definitions.")
            return
        print_table([(one.prefix, one.change.kind, shown(one.change.name), one.change.what) for one in found])
        print_line("See and accept one with: agentgate gateway accept NAME, or all with --all")

    why = [{"name": name, "problem": problem} for name, problem in refused.items()]
    show({"differences": [_document(one) for one in found], "refused": why}, text)


def _accept(
    files: Files,
    seen: tuple[bytes | None, ...],
    gateway: config.Gateway,
    pinned: lock.Lock,
    accepted: Sequence[Found],
    *,
    scopes: bool,
    yes: bool,
) -> None:
    gate_url(gateway)
    known = catalogue(gateway)
    before, locked, doubts = gateway, dict(pinned), dict[Doubt, str]()
    for one in accepted:
        result = accept(gateway, one.prefix, locked.get(one.prefix, lock.Definitions()), one.change, known)
        gateway, locked[one.prefix] = result.gateway, result.pinned
        doubts |= dict.fromkeys(result.doubts, one.prefix)
    gateway = config.parse(config.dump(gateway), str(files.config))
    text, keeps_comments = new_text(files.config.read_text(encoding="utf-8"), gateway, before)
    if gateway == before:
        text, keeps_comments = files.config.read_text(encoding="utf-8"), True
    places = {
        one: place(files.config, text, ("upstreams", prefix, one.kind, one.name))
        for one, prefix in doubts.items()
    }
    if not chosen.json:
        _print(accepted, places)
    needs_gate = scopes or gateway.scopes != before.scopes or _scope_names(gateway) != _scope_names(before)
    if needs_gate:
        _accept_with_scopes(files, seen, gateway, text, locked, keeps_comments, yes=yes)
    else:
        confirm(f"Accept {_count(accepted)}?", yes=yes)
        require_same(files, seen)
        write(files, text, locked, keeps_comments)
    document = {"accepted": [_document(one) for one in accepted]}
    show(
        document,
        lambda: print_line(f"Accepted {_count(accepted)}." if accepted else "Registered the scopes."),
    )


def _accept_with_scopes(
    files: Files,
    seen: tuple[bytes | None, ...],
    gateway: config.Gateway,
    text: str,
    locked: lock.Lock,
    keeps_comments: bool,
    *,
    yes: bool,
) -> None:
    known = catalogue(gateway)
    credential = load_credential(files.credential)
    with developer(gateway) as api:
        server = own_server(api, credential.id)
        needed = scopes_of(gateway, known)
        differing = changed(server.scopes, needed)
        if differing and not chosen.json:
            print_line("")
            print_line(f"These scopes of {server.name} would be registered:")
            print_table(scope_rows(differing, known))
        confirm(f"Register {len(differing)} scopes at {gateway.gate}, and write the files?", yes=yes)
        require_same(files, seen)
        if differing:
            api.update_resource_server(server.id, scopes=merged(server.scopes, needed))
    with explained("The scopes were registered", "Make the folder writable, and run the same command again."):
        write(files, text, locked, keeps_comments)


def _scope_names(gateway: config.Gateway) -> set[str]:
    lines = (
        line
        for upstream in gateway.upstreams.values()
        for group in (upstream.tools, upstream.resources, upstream.prompts)
        for line in group.values()
    )
    return {line.scope for line in lines}


def _document(found: Found) -> dict[str, object]:
    change = found.change
    return {
        "upstream": found.prefix,
        "kind": change.kind,
        "name": change.name,
        "what": change.what,
        "diff": change.lines(),
        "suspicious": inspect_change(change, found.live.tools),
    }


def _print(accepted: Sequence[Found], doubts: dict[Doubt, str]) -> None:
    for one in accepted:
        print_line("")
        print_line(f"{one.prefix}: {one.change.kind} {shown(one.change.name)} is {one.change.what}")
        for line in one.change.lines():
            print_line(f"  {line}")
        if findings := inspect_change(one.change, one.live.tools):
            print_findings(findings)
    if doubts:
        print_doubts(doubts, doubts)


def _count(accepted: Sequence[Found]) -> str:
    return f"{len(accepted)} change{'' if len(accepted) == 1 else 's'}"
