"""Propose what each tool, resource and prompt of an upstream needs: scope, risk, context and labels.

What a server says about itself only raises the risk: its author may be wrong, or lie. A name that says
nothing counts as dangerous.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..models import Scope
from .arguments import (
    Argument,
    arguments_of,
    is_address,
    is_program,
    looks_like_recipient,
    propose_context,
    unbounded,
)
from .config import Label, Line, OwnScope, Risk, ToolLine, Upstream
from .effects import READ, READ_NOUNS, RISKS, UNKNOWN, Named, common_beginning, effect_of, higher, words_of
from .inspection import inspect_definition, is_usable, shown
from .lock import Definition, Definitions, Kind
from .uris import glob_of

LABELS: tuple[Label, ...] = ("private", "untrusted", "outbound")
MAX_TITLE, MAX_WORDS, MAX_SCOPE_NAME, MAX_LINES = 80, 200, 59, 1000
# A resource server has at most 100 scopes.
MAX_TOOL_SCOPES = 80
# The words by which a server says whose data it serves, and the prefix of the scopes for it in the catalogue.
_SERVICES = {
    "files": "file files filesystem fs folder drive dropbox onedrive",
    "email": "email mail gmail outlook imap smtp",
    "calendar": "calendar",
    "slack": "slack",
    "notion": "notion",
    "linear": "linear",
    "db": "database db postgres postgresql sqlite mysql mariadb",
}
# What tools of these services are about, if one of the catalogue's scopes describes them truly.
_OBJECTS = {
    "files": "file files text media multiple directory directories folder folders info tree contents content "
    "allowed with sizes data binary",
    "email": "email emails mail mails message messages inbox attachment attachments thread threads gmail",
    "calendar": "calendar calendars event events",
    "slack": "slack message messages channel channels history thread threads replies to",
    "notion": "notion page pages block blocks children content",
    "linear": "linear issue issues",
    "db": "table tables query queries schema database record records row rows",
}
_SYNONYMS = {
    "edit": "update",
    "modify": "update",
    "append": "update",
    "patch": "update",
    "save": "write",
    "put": "write",
    "insert": "create",
    "make": "create",
    "add": "create",
    "post": "send",
    "remove": "delete",
    "erase": "delete",
}
_WORRYING = re.compile(
    r"\b(deletes?|removes?|overwrit(?:es?|ing)|sends?|executes?|modif(?:y|ies)|creates?|updates?|uploads?|pays?)\b",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"[A-Za-z0-9 ,.;:()'/+-]*")
_ADDRESS = re.compile(r"://|www\.|[a-z0-9]\.[a-z]", re.IGNORECASE)


@dataclass(frozen=True)
class Doubt:
    """Something that the operator should look at. `kind` and `name` say which line."""

    kind: str
    name: str
    text: str


class Proposer:
    """Proposes lines for one upstream, and collects the own scopes that they need and what is unsure.

    `service` is the name that users see. `taken` are scopes that have another meaning already.
    """

    def __init__(
        self,
        prefix: str,
        service: str,
        root: str | None,
        catalogue: Mapping[str, Scope],
        taken: Collection[str],
    ) -> None:
        self._prefix = prefix.replace("_", "-")
        self._service = service if len(service) <= 40 else f"{service[:39]}…"
        self._words = words_of(prefix)
        self._ignored: set[str] = {*self._words}
        self._root = root
        self._catalogue = catalogue
        self._taken = {*taken}
        self._grouped = False
        self.scopes: dict[str, OwnScope] = {}
        self.doubts: list[Doubt] = []

    def propose(
        self, upstream: Upstream, definitions: Definitions, names: Collection[str] | None = None
    ) -> Upstream:
        """Return the upstream with a line for all that these definitions offer and that can be exposed.

        `names` are those of all its tools, if the definitions are only some of them.
        """
        names = definitions.tools if names is None else names
        if len(names) > 1:
            self._ignored |= common_beginning(names)
        self._grouped = len(names) > MAX_TOOL_SCOPES
        if self._grouped and len(definitions.tools) > 1:
            text = f"it has {len(names)} tools, so tools that do the same share a scope"
            self.doubts.append(Doubt("tools", "", text))
        tools = {
            name: self.tool(name, one, names) for name, one in _usable("tools", definitions, self.doubts)
        }
        globs = [glob_of(uri) for uri, _ in _usable("templates", definitions, self.doubts)]
        uris = [uri for uri, _ in _usable("resources", definitions, self.doubts)]
        prompts = {name: self.prompt() for name, _ in _usable("prompts", definitions, self.doubts)}
        self._doubt_missing_hints(definitions.tools)
        resources = {uri: self.resource() for uri in dict.fromkeys([*uris, *globs])}
        return upstream.model_copy(update={"tools": tools, "resources": resources, "prompts": prompts})

    def tool(self, name: str, definition: Definition, tools: Collection[str]) -> ToolLine:
        """Return the line of one tool."""
        named = effect_of(name, self._ignored)
        schema, hints = definition.get("inputSchema"), _hints_of(definition)
        arguments = arguments_of(schema)
        programs = [one.name for one in arguments if is_program(one)]
        in_folder = self._root is not None
        is_unbounded = bool(unbounded(schema, arguments, in_folder))
        least = higher(
            _told(hints, named), "critical" if programs else "low", "high" if is_unbounded else "low"
        )
        labels = _labels(named, hints, arguments)
        changes = named.effect is not READ or least != "low"
        proposed = propose_context(schema, changes=changes, in_folder=in_folder, root=self._root)
        scope = self._fitting(named, least)
        if scope is not None:
            scope_id, risk = scope.id, _risk(scope)
            asks = asks_by_default(risk, scope.reversible, scope.asks)
            labels |= set(scope.labels)
        else:
            risk = higher(named.effect.risk, least)
            if (
                named.effect is READ
                and risk == READ.risk
                and not (_worries(definition) or "outbound" in labels)
            ):
                risk = "low"
            asks = asks_by_default(risk, True, False)
            scope_id = self._own_scope(name, definition, named, risk, labels, tools)
        texts = (*_doubts(named, hints, risk, definition, programs), *proposed.doubts)
        self.doubts += [Doubt("tools", name, text) for text in texts]
        is_stated = named.effect is READ and hints.get("readOnlyHint") is True
        return ToolLine(
            scope=scope_id,
            risk=risk,
            asks=asks,
            labels=in_order(labels),
            guessed=scope is None and not is_stated,
            context=proposed.context,
        )

    def resource(self) -> Line:
        """Return the line of a resource. All resources of an upstream share a scope."""
        words = f"Read what {self._service} offers as resources"
        scope_id = self._shared("resources", f"Read the resources of {self._service}", words, READ.labels)
        return Line(scope=scope_id, risk="standard", labels=in_order(READ.labels))

    def prompt(self) -> Line:
        """Return the line of a prompt. All prompts of an upstream share a scope."""
        words = f"Get prepared prompts from {self._service}"
        scope_id = self._shared("prompts", f"Use the prompts of {self._service}", words, {"untrusted"})
        return Line(scope=scope_id, risk="standard", labels=["untrusted"])

    def _fitting(self, named: Named, least: Risk) -> Scope | None:
        """Return the scope of the catalogue that describes such a tool truly, None if none does.

        It is known by the service, the verb, and that the name says nothing else.
        """
        for service, words in _SERVICES.items():
            if named.verb is None or not {*words.split()} & {*self._words}:
                continue
            if not {*named.others} <= {*_OBJECTS[service].split()}:
                continue
            scope = self._covering(service, named)
            if scope is not None and higher(_risk(scope), least) == _risk(scope):
                return scope
        return None

    def _covering(self, service: str, named: Named) -> Scope | None:
        verbs = [named.verb, _SYNONYMS.get(str(named.verb)), "read" if named.effect is READ else None]
        actions = [f"{service}:{verb}" for verb in verbs if verb]
        for action in actions:
            for scope in self._catalogue.values():
                reads = scope.id.endswith(":read")
                if (action == scope.id or action in scope.covers) and reads == (named.effect is READ):
                    return scope
        return None

    def _own_scope(
        self,
        name: str,
        definition: Definition,
        named: Named,
        risk: Risk,
        labels: Collection[str],
        tools: Collection[str],
    ) -> str:
        if self._grouped:
            usual = "low" if named.effect is READ else named.effect.risk
            group = named.effect.id if risk == usual else f"{named.effect.id}_{risk}"
            title = f"Use the tools of {self._service} that {named.effect.says}"
            return self._shared(group, title, f"Call those of its tools that {named.effect.says}", labels)
        scope_id = self._free_id(name)
        described = plain_description(name, definition, tools)
        self.scopes[scope_id] = OwnScope(
            title=_cut(self._title(name, scope_id, named, risk), MAX_TITLE),
            description=described or "Call this tool with any arguments",
            cannot=f"use other tools of {self._service}",
            labels=in_order(labels),
        )
        return scope_id

    def _title(self, name: str, scope_id: str, named: Named, risk: Risk) -> str:
        """Return what users allow: the act, if the name says it and nothing says more, else the tool."""
        plain = _plain_name(name, scope_id)
        words = words_of(plain)
        while len(words) > 1 and words[0] in self._ignored:
            words = words[1:]
        said = _cut(" ".join(words), 40)
        if plain == name and named.verb is not None and risk in ("low", named.effect.risk):
            if words[0] == named.verb and not (named.effect is READ and named.verb in READ_NOUNS):
                return f"{said.capitalize()} with {self._service}"
            if named.effect is READ:
                return f"Read the {said} with {self._service}"
        return f"Use {_cut(plain, 40)} of {self._service}"

    def _shared(self, name: str, title: str, description: str, labels: Collection[str]) -> str:
        scope_id = f"{self._prefix}:{name}"
        before = self.scopes.get(scope_id)
        self.scopes[scope_id] = OwnScope(
            title=title,
            description=description,
            cannot=f"use anything else of {self._service}",
            labels=in_order({*labels, *(before.labels if before else ())}),
        )
        return scope_id

    def _free_id(self, name: str) -> str:
        """Return a scope id for a tool, which the gate accepts and no other tool has."""
        words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
        base = re.sub(r"[^a-z0-9_-]+", "_", words).strip("_-")
        base = (base if base[:1].isalpha() else f"tool_{base}")[: MAX_SCOPE_NAME - 4]
        taken = {*self.scopes, *self._taken, f"{self._prefix}:resources", f"{self._prefix}:prompts"}
        ids = (f"{self._prefix}:{base}{'' if number == 1 else f'_{number}'}" for number in range(1, 1000))
        return next(one for one in ids if one not in taken)

    def _doubt_missing_hints(self, tools: Mapping[str, Definition]) -> None:
        silent = [
            name
            for name, one in tools.items()
            if "readOnlyHint" not in _hints_of(one) and effect_of(name, self._ignored).effect is READ
        ]
        if silent:
            names = _cut(shown(", ".join(silent)), 300)
            text = f"guessed low, because only their names say that they read, the server does not: {names}"
            self.doubts.append(Doubt("tools", "", text))


def asks_by_default(risk: str, is_reversible: bool, always_asks: bool) -> bool:
    """Return whether the consent screen preselects "Ask me every time"."""
    return always_asks or not is_reversible or risk in ("high", "critical")


def plain_description(name: str, definition: Definition, tools: Collection[str]) -> str | None:
    """Return what the server says about a tool, marked as its words, or None if users should not read it.

    Users read it on the consent screen, and the server's author is a stranger: it is the first sentence, of
    plain characters and without links, and only if inspection finds nothing in the whole definition.
    """
    text = definition.get("description") or definition.get("title")
    if not isinstance(text, str) or any(inspect_definition("tools", name, definition, tools)):
        return None
    sentence = " ".join(re.split(r"(?<=[a-z)])[.!?](?:\s|$)|\n\s*\n", text.strip(), maxsplit=1)[0].split())
    if not sentence or not _PLAIN.fullmatch(sentence) or _ADDRESS.search(sentence):
        return None
    return f"The server says: {_cut(sentence, MAX_WORDS - 20)}"


def _plain_name(name: str, scope_id: str) -> str:
    """Return the tool's name for users, or that of its scope if it could be read as something else."""
    is_plain = re.fullmatch(r"[A-Za-z0-9_-]+", name) and not _ADDRESS.search(name)
    return name if is_plain else scope_id.partition(":")[2]


def in_order(labels: Collection[str]) -> list[Label]:
    return [label for label in LABELS if label in labels]


def _usable(kind: Kind, definitions: Definitions, doubts: list[Doubt]) -> list[tuple[str, Definition]]:
    """Return the definitions that can be exposed, at most `MAX_LINES`."""
    found = [(name, one) for name, one in definitions.of(kind).items() if is_usable(kind, name, one)]
    if len(found) > MAX_LINES:
        doubts.append(Doubt(kind, "", f"only the first {MAX_LINES} of {len(found)} are exposed"))
    return found[:MAX_LINES]


def _hints_of(definition: Definition) -> Mapping[str, Any]:
    hints = definition.get("annotations")
    return hints if isinstance(hints, Mapping) else {}


def _told(hints: Mapping[str, Any], named: Named) -> Risk:
    """Return the risk that the server admits by its hints."""
    admits = hints.get("destructiveHint") is True or (
        hints.get("readOnlyHint") is False and named.effect is READ
    )
    return "high" if admits else "low"


def _labels(named: Named, hints: Mapping[str, Any], arguments: Iterable[Argument]) -> set[str]:
    labels: set[str] = {*named.effect.labels}
    changes = named.effect is not READ or hints.get("readOnlyHint") is False
    if hints.get("openWorldHint") is True:
        labels |= {"untrusted", "outbound"} if changes else {"untrusted"}
    for argument in arguments:
        if is_address(argument):
            labels |= {"untrusted", "outbound"}
        if changes and looks_like_recipient(argument):
            labels.add("outbound")
    return labels


def _doubts(
    named: Named, hints: Mapping[str, Any], risk: Risk, definition: Definition, programs: list[str]
) -> Iterable[str]:
    if named.effect is UNKNOWN:
        yield "its name does not say what it does, so it counts as dangerous"
    if hints.get("readOnlyHint") is True and named.effect not in (READ, UNKNOWN):
        yield f"the server says that it only reads, but tools with such a name {named.effect.says}"
    if named.effect is READ and _told(hints, named) != "low":
        yield "its name says that it reads, but the server says that it changes something"
    if programs:
        yield f"the caller decides what it does, by {', '.join(programs)}: {risk}, whatever its name says"
    said = _worries(definition)
    if named.effect is READ and said:
        yield f"its name says that it reads, but its description has the word “{said}”"


def _worries(definition: Definition) -> str | None:
    """Return a word of the description that says more than reading."""
    said = _WORRYING.search(str(definition.get("description") or ""))
    return said[0].lower() if said else None


def _risk(scope: Scope) -> Risk:
    known: dict[str, Risk] = {risk: risk for risk in RISKS}
    return known.get(scope.risk_level, "critical")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
