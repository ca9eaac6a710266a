"""Pin changes that the operator accepts, and give what is new a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..models import Scope
from .catalogue import find_line
from .checking import check_arguments
from .config import Gateway, Line, ToolLine, Upstream, exposed_name
from .effects import RISKS
from .given import folders_of, root_of
from .lock import Change, Definitions
from .proposing import Doubt, Proposer
from .uris import example_of


@dataclass(frozen=True)
class Accepted:
    """The configuration and the pinned definitions after a change, and what is unsure about it."""

    gateway: Gateway
    pinned: Definitions
    doubts: tuple[Doubt, ...] = ()


def is_named(change: Change, names: Iterable[str], prefix: str, upstream: Upstream) -> bool:
    """Return whether one of the names is this change's: as the upstream calls it, or as clients do."""
    return bool({change.name, exposed_name(prefix, upstream, change.name)} & {*names})


def accept(
    gateway: Gateway, prefix: str, pinned: Definitions, change: Change, catalogue: Mapping[str, Scope]
) -> Accepted:
    """Return what one accepted change makes of both files."""
    if change.kind == "instructions":
        text = change.after if isinstance(change.after, str) else None
        return Accepted(gateway, replace(pinned, instructions=text))
    definition = change.after if isinstance(change.after, Mapping) else None
    if definition is None:
        return Accepted(gateway, pinned.with_one(change.kind, change.name, None))
    now = pinned.with_one(change.kind, change.name, definition)
    upstream = gateway.upstreams[prefix]
    proposer = proposer_for(prefix, gateway, upstream, catalogue)
    alone = Definitions().with_one(change.kind, change.name, definition)
    proposed = proposer.propose(upstream, alone, now.tools)
    doubts = [replace(one, name=one.name or change.name) for one in proposer.doubts]
    kind = "resources" if change.kind == "templates" else change.kind
    key, new = next(iter(getattr(proposed, kind).items()))
    line = _line_of(upstream, kind, change.name)
    if line is not None:
        unmapped = _unmapped(line, change, prefix, upstream.root)
        return Accepted(gateway, now, tuple([*_riskier(line, new, change), *unmapped, *doubts]))
    if change.what != "new":
        # It has no line because the operator hides it.
        return Accepted(gateway, now)
    lines = {**getattr(upstream, kind), key: new}
    upstreams = {**gateway.upstreams, prefix: upstream.model_copy(update={kind: lines})}
    scopes = {**proposer.scopes, **gateway.scopes}
    return Accepted(gateway.model_copy(update={"upstreams": upstreams, "scopes": scopes}), now, tuple(doubts))


def _line_of(upstream: Upstream, kind: str, name: str) -> Line | None:
    if kind == "resources":
        return find_line(upstream.resources, example_of(name))
    found: Line | None = getattr(upstream, kind).get(name)
    return found


def proposer_for(
    prefix: str, gateway: Gateway, upstream: Upstream, catalogue: Mapping[str, Scope]
) -> Proposer:
    root = upstream.root or root_of(folders_of(upstream))
    return Proposer(prefix, gateway.name, root, catalogue, gateway.scopes)


def _unmapped(line: Line, change: Change, prefix: str, root: str | None) -> list[Doubt]:
    """Return a doubt for each argument that the change adds, and that the line does not map as it should."""
    if not isinstance(line, ToolLine) or not isinstance(change.after, Mapping):
        return []
    before, after = (
        [one.text for one in check_arguments(prefix, change.name, line, definition, root)]
        for definition in (change.before if isinstance(change.before, Mapping) else {}, change.after)
    )
    return [Doubt(change.kind, change.name, text) for text in after if text not in before]


def _riskier(line: Line, proposed: Line, change: Change) -> list[Doubt]:
    """Return a doubt if the new definition would be proposed with a higher risk than the line has."""
    if RISKS.index(proposed.risk) <= RISKS.index(line.risk):
        return []
    text = f"its line says {line.risk}, and the new definition would be proposed as {proposed.risk}"
    return [Doubt(change.kind, change.name, text)]
