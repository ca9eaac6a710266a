"""Compare gateway.yaml with what the upstreams offer now, and with what is registered at the gate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..models import Scope
from .arguments import (
    arguments_of,
    looks_like_amount,
    looks_like_recipient,
    names_with_dots,
    paths_among,
    unbounded,
)
from .catalogue import find_line
from .config import ConfigError, Context, Gateway, Line, ToolLine, Upstream, exposed_name
from .effects import READ, effect_of, words_of
from .examples import refused_examples, takes_paths
from .inspection import inspect_change, shown
from .lock import Change, Definition, Definitions, Lock
from .pinning import differences
from .registration import AnyScope, line_differences, lines_of, scope_differences, scope_id, scopes_of
from .uris import example_of

Keys = tuple[str, ...]


@dataclass(frozen=True)
class Problem:
    """Something that does not hold; with `is_note`, something to look at. `keys` lead to its line."""

    keys: Keys
    text: str
    is_note: bool = False


def check_upstream(
    prefix: str, upstream: Upstream, pinned: Definitions, live: Definitions
) -> Iterator[Problem]:
    """Yield what differs between the lines, the pinned definitions and the live ones."""
    for change in differences(pinned, live):
        yield from _check_change(prefix, change, live)
    for kind in ("tools", "prompts"):
        lines: Mapping[str, Line] = getattr(upstream, kind)
        yield from _check_names(prefix, kind, lines, pinned.of(kind), live.of(kind))
    yield from _check_resources(prefix, upstream.resources, live)
    for name, line in upstream.tools.items():
        keys = ("upstreams", prefix, "tools", name)
        if definition := pinned.tools.get(name):
            yield from check_arguments(prefix, name, line, definition, upstream.root)
            for _, reason in refused_examples(name, line, definition, upstream):
                yield Problem(keys, f"an example of its calls would be refused: {reason}")
            if upstream.url is not None and takes_paths(line) and upstream.root is None:
                text = "its paths have no `root` in the upstream, so absolute ones are refused"
                yield Problem(keys, text, is_note=True)


def check_shared(gateway: Gateway, lock: Lock) -> Iterator[Problem]:
    """Yield the resources and prompts that clients do not get, because another upstream has the name.

    Two tools of one name are an error when the file is read.
    """
    first: dict[tuple[str, str], str] = {}
    for prefix, upstream in gateway.upstreams.items():
        pinned = lock.get(prefix, Definitions())
        uris = [*pinned.resources, *pinned.templates]
        offered = [("resources", one, one) for one in uris if _has_line(upstream.resources, one)]
        offered += [
            ("prompts", one, exposed_name(prefix, upstream, one))
            for one in upstream.prompts
            if one in pinned.prompts
        ]
        for kind, name, exposed in offered:
            other = first.setdefault((kind, exposed), prefix)
            if other != prefix:
                text = f"is not exposed, because clients get that of {other}. Remove one of the two lines"
                yield Problem(("upstreams", prefix, kind, name), text)


def check_scopes(
    gateway: Gateway, registered: Sequence[AnyScope], catalogue: Mapping[str, Scope]
) -> Iterator[Problem]:
    """Yield what the lines say about scopes and the gate does not."""
    for keys, line in lines_of(gateway):
        for text in line_differences(line, catalogue):
            yield Problem(keys, f"{line.scope}: {text}")
    yield from _check_agreement(gateway, catalogue)
    try:
        needed = scopes_of(gateway, catalogue)
    except ConfigError as error:
        yield Problem(("scopes",), str(error))
        return
    have = {scope_id(one): one for one in registered}
    for one in needed:
        name = scope_id(one)
        keys = ("scopes", name) if name in gateway.scopes else ("upstreams",)
        if fields := scope_differences(have.get(name), one):
            what = "is not among the scopes of the resource server"
            if fields != ["missing"]:
                what = f"is registered with other values of {', '.join(fields)}"
            yield Problem(keys, f"{name} {what}. Register it with: agentgate gateway accept --scopes")


def _check_agreement(gateway: Gateway, catalogue: Mapping[str, Scope]) -> Iterator[Problem]:
    first: dict[str, Line] = {}
    for keys, line in lines_of(gateway):
        other = first.setdefault(line.scope, line)
        if line.scope not in catalogue and (line.risk, line.asks) != (other.risk, other.asks):
            yield Problem(keys, f"{line.scope} has another risk or asks in another line, and a scope has one")
        if line.scope not in catalogue and not line.asks and line.risk in ("high", "critical"):
            yield Problem(
                keys, f"{line.scope} is {line.risk}, so the consent screen preselects asking: asks: true"
            )


def _check_change(prefix: str, change: Change, live: Definitions) -> Iterator[Problem]:
    keys = ("upstreams", prefix, change.kind, change.name)
    command = f"agentgate gateway accept {shown(change.name)} --upstream {prefix}"
    says = {
        "changed": f"differs from its pinned definition, so it is blocked. See and accept it with: {command}",
        "gone": f"is pinned, and the upstream no longer has it. Remove it with: {command}",
        "new": f"is new, so it is not exposed. See and accept it with: {command}",
    }
    if change.kind == "instructions":
        says[change.what] = (
            f"differ from the pinned ones, which clients get. See and accept them with: {command}"
        )
    yield Problem(keys, says[change.what])
    for finding in inspect_change(change, live.tools):
        excerpt = f": {finding.excerpt}" if finding.excerpt else ""
        yield Problem(keys, f"{finding.where} {finding.problem}{excerpt}", is_note=True)


def _check_names(
    prefix: str,
    kind: str,
    lines: Mapping[str, Line],
    pinned: Mapping[str, Definition],
    live: Mapping[str, Definition],
) -> Iterator[Problem]:
    for name in lines:
        if name not in live and name not in pinned:
            yield Problem(("upstreams", prefix, kind, name), "has a line, and the upstream does not have it")
    for name in pinned:
        if name not in lines:
            text = "has no line, so it is not exposed"
            yield Problem(("upstreams", prefix, kind, name), text, is_note=True)


def _check_resources(prefix: str, lines: Mapping[str, Line], live: Definitions) -> Iterator[Problem]:
    offered = [*live.resources, *map(example_of, live.templates)]
    for pattern, line in lines.items():
        if not any(find_line({pattern: line}, uri) for uri in offered) and pattern not in live.templates:
            keys = ("upstreams", prefix, "resources", pattern)
            yield Problem(keys, "has a line, and the upstream has no such resource")
    for uri in [*live.resources, *live.templates]:
        if not _has_line(lines, uri):
            keys = ("upstreams", prefix, "resources", uri)
            yield Problem(keys, "has no line, so it is not exposed", is_note=True)


def _has_line(lines: Mapping[str, Line], uri: str) -> bool:
    """Return whether a resource or a template has a line."""
    return uri in lines or find_line(lines, example_of(uri)) is not None


def check_arguments(
    prefix: str, name: str, line: ToolLine, definition: Definition, root: str | None
) -> Iterator[Problem]:
    keys = ("upstreams", prefix, "tools", name)
    schema = definition.get("inputSchema")
    arguments = arguments_of(schema)
    known, mapped = {one.name for one in arguments if not one.is_listed}, _mapped(line.context)
    for one in sorted(mapped - known):
        yield Problem(keys, f"{one} is mapped, and the tool has no such argument")
    for one in names_with_dots(schema):
        yield Problem(keys, f"the argument {one} has a dot in its name, so it cannot be mapped", is_note=True)
    for text in unbounded(schema, arguments, root is not None):
        yield Problem(keys, text, is_note=True)
    changes_something = effect_of(name, words_of(prefix)).effect is not READ or line.asks
    paths = paths_among(arguments, root is not None)
    for argument in arguments:
        if argument.name in mapped or argument.is_listed:
            continue
        if argument in paths:
            # Within a root, what is not mapped is not bounded.
            yield Problem(keys, f"{argument.name} looks like a path, and is not mapped", is_note=root is None)
        elif changes_something and looks_like_amount(argument):
            yield Problem(keys, f"{argument.name} looks like an amount, and is not mapped", is_note=True)
        elif changes_something and looks_like_recipient(argument):
            yield Problem(keys, f"{argument.name} looks like a recipient, and is not mapped", is_note=True)


def _mapped(context: Context) -> set[str]:
    fields = (context.recipient, context.target, context.text)
    names = {name for field in fields if field is not None for name in field.arguments}
    if context.amount is not None:
        names.add(context.amount.argument)
        if not isinstance(context.amount.currency, str):
            names.add(context.amount.currency.argument)
    return names
