"""What the gateway exposes: what has both a line in `gateway.yaml` and a definition in `gateway.lock`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .config import Gateway, Line, Upstream, exposed_name
from .lock import Definition, Definitions, Kind, Lock, digest
from .uris import example_of, matches, problem_of, segments_of

logger = logging.getLogger("agentgate_oauth.gateway")

REQUEST_ACCESS = "request_access"


@dataclass(frozen=True)
class Entry:
    """A tool, resource, resource template or prompt. `name` is the upstream's, `exposed` is what clients use.

    The name of a resource is its URI, and of a template its URI template.
    """

    kind: Kind
    upstream: str
    name: str
    exposed: str
    line: Line
    definition: Definition
    digest: str
    behind: Upstream


@dataclass
class Catalogue:
    """All entries by the name that clients use, and the instructions of the upstreams."""

    gateway: Gateway
    lock: Lock
    tools: dict[str, Entry] = field(default_factory=dict)
    resources: dict[str, Entry] = field(default_factory=dict)
    templates: dict[str, Entry] = field(default_factory=dict)
    prompts: dict[str, Entry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for prefix, upstream in self.gateway.upstreams.items():
            pinned = self.lock.get(prefix)
            if pinned is None:
                logger.warning("Nothing of %s is exposed: it is not in gateway.lock", prefix)
                continue
            for entry in _entries(prefix, upstream, pinned):
                self._add(entry)

    def _add(self, entry: Entry) -> None:
        known: dict[str, Entry] = getattr(self, entry.kind)
        if entry.exposed in known:
            logger.warning("%s of %s is not exposed: the name is taken", entry.exposed, entry.upstream)
            return
        known[entry.exposed] = entry

    def entries(self) -> Iterator[Entry]:
        for entries in (self.tools, self.resources, self.templates, self.prompts):
            yield from entries.values()

    def serves(self, entry: Entry) -> bool:
        """Return whether an entry, which may be of another catalogue, is served by the same rules here."""
        served = getattr(self, entry.kind).get(entry.exposed)
        return served is entry or (
            served is not None
            and (served.upstream, served.name, served.behind) == (entry.upstream, entry.name, entry.behind)
        )

    def scopes(self) -> list[str]:
        """Return every scope that an entry needs, in the order of the file."""
        return list(dict.fromkeys(entry.line.scope for entry in self.entries()))

    def first_scopes(self) -> list[str]:
        """Return the scopes to begin with: those without high risk, that are not asked about each time."""
        grave = {
            entry.line.scope
            for entry in self.entries()
            if entry.line.asks or entry.line.risk in ("high", "critical")
        }
        return [scope for scope in self.scopes() if scope not in grave] or self.scopes()

    def read_line(self, entry: Entry, uri: str) -> Line | None:
        """Return the line that a read of this URI needs. None if there is none."""
        lines = self.gateway.upstreams[entry.upstream].resources
        return find_line(lines, uri)

    def scopes_of_uri(self, uri: str) -> list[str]:
        """Return the scope that a read of this URI probably needs. Which template it is of is not known."""
        if uri in self.resources:
            return [self.resources[uri].line.scope]
        lines = (find_line(one.resources, uri) for one in self.gateway.upstreams.values())
        return [line.scope for line in lines if line][:1]

    @property
    def request_access(self) -> str:
        """Return a name for the tool that asks for more, which no other tool has."""
        name = REQUEST_ACCESS
        while name in self.tools:
            name = f"gateway_{name}"
        return name

    @property
    def instructions(self) -> str | None:
        """Return the pinned instructions of all upstreams."""
        found = {
            prefix: self.lock[prefix].instructions for prefix in self.gateway.upstreams if prefix in self.lock
        }
        said = {prefix: text for prefix, text in found.items() if text}
        if len(self.gateway.upstreams) == 1:
            return next(iter(said.values()), None)
        return "\n\n".join(f"# {prefix}\n\n{text}" for prefix, text in said.items()) or None


def find_line(lines: Mapping[str, Line], uri: str) -> Line | None:
    """Return the line of a URI: its own, else the first in the file whose glob or template matches it."""
    if uri in lines:
        return lines[uri]
    segments = segments_of(uri)
    if segments is None:
        return None
    return next((line for key, line in lines.items() if matches(key, segments)), None)


def _entries(prefix: str, upstream: Upstream, pinned: Definitions) -> Iterator[Entry]:
    yield from _named("tools", prefix, upstream, upstream.tools, pinned)
    yield from _named("prompts", prefix, upstream, upstream.prompts, pinned)
    for uri, definition in pinned.resources.items():
        if found := find_line(upstream.resources, uri):
            yield Entry("resources", prefix, uri, uri, found, definition, digest(definition), upstream)
    for template, definition in pinned.templates.items():
        if problem := problem_of(template):
            logger.error("%s of %s is not exposed: it %s", template[:200], prefix, problem)
        elif found := find_line(upstream.resources, example_of(template)):
            yield Entry(
                "templates", prefix, template, template, found, definition, digest(definition), upstream
            )


def _named(
    kind: Kind, prefix: str, upstream: Upstream, lines: Mapping[str, Line], pinned: Definitions
) -> Iterator[Entry]:
    for name, line in lines.items():
        definition = pinned.of(kind).get(name)
        if definition is None:
            logger.warning("%s of %s is not exposed: it is not in gateway.lock", name, prefix)
            continue
        exposed = exposed_name(prefix, upstream, name)
        yield Entry(kind, prefix, name, exposed, line, definition, digest(definition), upstream)
