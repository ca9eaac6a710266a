"""Compare what the upstreams say now with what is pinned. What differs is blocked until it is accepted."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastmcp.utilities.json_schema import is_object_schema

from .lock import Change, Definitions, Lock, changes, digest

if TYPE_CHECKING:
    from .catalogue import Entry

COMPARE_SECONDS = 60.0
logger = logging.getLogger("agentgate_oauth.gateway")


class Pins:
    """The pinned definitions, and what of them an upstream has said otherwise."""

    def __init__(self, lock: Lock, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = lock
        self._clock = clock
        self._compared_at: dict[str, float] = {}
        self._live: dict[str, Definitions] = {}
        self._changed: dict[str, dict[tuple[str, str], Change]] = {}

    def compare(self, upstream: str, now: Definitions) -> None:
        """Block what differs now, for all users, and unblock what matches its pinned definition again."""
        self._live[upstream] = now
        self._compared_at[upstream] = self._clock()
        expected = self._lock.get(upstream, Definitions())
        found: dict[tuple[str, str], Change] = {
            (one.kind, one.name): one for one in differences(expected, now)
        }
        before = self._changed.get(upstream, {})
        self._changed[upstream] = found
        for key in found.keys() - before.keys():
            _report(upstream, found[key])

    def replace(self, lock: Lock) -> None:
        """Pin other definitions, and compare them with what the upstreams have said last."""
        self._lock = lock
        for upstream, now in self._live.items():
            self.compare(upstream, now)

    def change_of(self, entry: Entry) -> Change | None:
        """Return how the definition of an entry differs from the pinned one, None if it does not.

        A call whose entry was pinned when it began may find another one pinned when it has been decided.
        """
        pinned = self._lock.get(entry.upstream, Definitions()).of(entry.kind).get(entry.name)
        if pinned is not entry.definition and (pinned is None or digest(pinned) != entry.digest):
            return Change(entry.kind, entry.name, entry.definition, pinned)
        return self._changed.get(entry.upstream, {}).get((entry.kind, entry.name))

    def change_in(self, entry: Entry, live: Definitions | None) -> Change | None:
        """Return the same about what one session has said last. Another user's session may differ from it."""
        if live is None or live is self._live.get(entry.upstream):
            return None
        pinned, now = entry.definition, live.of(entry.kind).get(entry.name)
        if now is not None and json.dumps(now) == json.dumps(pinned):
            return None
        before, after = (Definitions().with_one(entry.kind, entry.name, one) for one in (pinned, now))
        return next(differences(before, after), None)

    def lately_changed(self, entry: Entry) -> Change | None:
        """Return the same, but None if it is time to look again, which a call does."""
        age = self._clock() - self._compared_at.get(entry.upstream, float("-inf"))
        return self.change_of(entry) if age < COMPARE_SECONDS else None

    def blocked(self) -> int:
        """Return how many definitions differ, without new ones."""
        return sum(one.what != "new" for found in self._changed.values() for one in found.values())


def differences(pinned: Definitions, now: Definitions) -> Iterator[Change]:
    """Yield what differs, with the definitions as they are. What only the protocol era changes does not."""
    for one in changes(_comparable(pinned), _comparable(now)):
        if one.kind == "instructions":
            yield one
        else:
            before, after = pinned.of(one.kind), now.of(one.kind)
            yield replace(one, before=before.get(one.name), after=after.get(one.name))


def _comparable(definitions: Definitions) -> Definitions:
    """Return definitions in a form that does not depend on the protocol era in which they were read."""
    tools = {name: _tool(definition) for name, definition in definitions.tools.items()}
    return replace(definitions, tools=tools)


def _tool(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a tool as servers of the handshake era say it: the schema of results is an object there."""
    kept = {key: value for key, value in definition.items() if key != "execution"}
    schema = kept.get("outputSchema")
    if isinstance(schema, dict):
        kept["outputSchema"] = _result_schema(schema)
    return kept


def _result_schema(schema: dict[str, Any]) -> dict[str, Any]:
    if is_object_schema(schema):
        return {**schema, "type": "object"}
    shared = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    wrapped = {"type": "object", "properties": {"result": schema}, "required": ["result"]}
    return {**wrapped, "x-fastmcp-wrap-result": True, **shared}


def _report(upstream: str, change: Change) -> None:
    if change.kind == "instructions":
        logger.warning("The instructions of %s have changed. Clients get the pinned ones", upstream)
    elif change.what == "new":
        logger.warning("%s of %s is new and not exposed", change.name[:200], upstream)
    else:
        logger.error(
            "%s of %s is blocked, because its definition is %s: agentgate gateway accept %s",
            change.name[:200],
            upstream,
            change.what,
            change.name[:200],
        )
