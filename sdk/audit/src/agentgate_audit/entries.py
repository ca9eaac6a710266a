"""One entry of the log: the leaf of the Merkle tree, and what is disclosed of its parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from .amounts import Reserved, Spent, check_amount, is_unreadable, parse_amount, parse_reserved, parse_spent
from .chains import VERSION as CHAINED_VERSION
from .chains import Chain, Link, read_chain
from .disclosures import GROUPS, Part, open_group, read_root
from .errors import Broken, quote
from .merkle import hash_leaf
from .strict_json import encode, parse_json, read_integer, read_object, read_text
from .times import parse_time

MEMBERS = {"index", "entry", "disclosures", "proof"}
_OPTIONAL_TEXTS = ("reason", "organizationId", "userId", "agentId", "consentId", "action", "requestId")
_TEXTS = ("id", "event")
_LISTS = ("serviceOrganizationIds", "scopes")
_RECORD = {
    "v",
    "timestamp",
    "outcome",
    "actor",
    "metadata",
    "personal",
    "withheld",
    *_OPTIONAL_TEXTS,
    *_TEXTS,
    *_LISTS,
}
_ANSWERS = ("token.verify", "token.introspected")
# What the log has of a context that is too long. It may have had an amount or not.
_SHORTENED = {"size", "sha256", "beginning", "fields", "named"}
# In the order in which an entry has them.
_PERSONAL = ("ip", "userAgent", "resource", "amount", "reason", "requestId", "call")
_WITHHELD = ("policy", "connection", "services")


class Totals(NamedTuple):
    """The running totals of a connection, including the entry that has them."""

    number: int
    allowed: int
    denied: int
    spent: Spent


@dataclass(frozen=True)
class Entry:
    index: int
    leaf_hash: bytes
    proof: list[object]
    record: dict[str, Any]
    time: int  # in microseconds since 1970
    groups: dict[str, list[Part | None]]
    chain: Chain = ()  # from the agent to which the user granted, to the one that acted. Empty if these are one

    @property
    def agents(self) -> Chain:
        """The agents that took part, from the first one to the one that acted. Empty without an agent."""
        if self.chain or self.record["agentId"] is None:
            return self.chain
        return (Link(self.record["agentId"], None, self.record["organizationId"]),)

    @property
    def is_decision(self) -> bool:
        return bool(self.record["event"] == "token.verify")

    @property
    def is_damaged(self) -> bool:
        """Whether it stands in for an entry that the server could not log, perhaps an allowed decision."""
        return bool(self.record["event"] == "entry.damaged")

    @property
    def is_allowed(self) -> bool:
        """Whether the entry is a decision that allowed something."""
        return self.is_decision and bool(self.record["outcome"] == "allowed")

    @property
    def says_yes(self) -> bool:
        """Whether a service was told, by a decision or an introspection, that a token may be used."""
        return self.record["event"] in _ANSWERS and bool(self.record["outcome"] == "allowed")

    @property
    def service_organizations(self) -> list[str]:
        """The organizations whose services are concerned. Empty if this reader may not see them."""
        return _service_organizations(self.record, self.groups) or []

    @property
    def removed_scopes(self) -> list[str]:
        """The scopes that a narrowing took from a consent. Empty if this reader may not see which. Raises `Broken`."""
        shown = next((part for part in self.groups.get("withheld", []) if part and part.name == "connection"), None)
        return _read_removed(shown.value) if shown else []

    def concerns(self, organization: str) -> bool:
        """Return whether the entry belongs to the stream of an organization that can read it."""
        above = [link.organization for link in self.chain]
        known = (self.record["organizationId"], *above, *self.service_organizations)
        return organization in known or self._stream_value(f"organization:{organization}") is not None

    @property
    def hides_parts(self) -> bool:
        """Whether a part is not disclosed: it was erased, or this reader may not see it."""
        return any(
            self.record[group] is not None and (group not in self.groups or None in self.groups[group])
            for group in ("personal", "withheld")
        )

    @property
    def can_spend(self) -> bool:
        """Whether the entry's amount counts: an allowed decision, or the commit of what one had reserved."""
        return self.is_allowed or bool(self.record["event"] == "reservation.committed")

    @cached_property
    def amount(self) -> Spent | None:
        """What the entry spent: what an allowed decision was about, or a commit. None if the amount may be hidden."""
        if not self.can_spend or self.record["personal"] is None:
            return {}
        value = self._personal_value("amount")
        if value is not None:
            return parse_amount(value, can_be_reserved=self.is_decision)
        return None if None in self.groups.get("personal", [None]) else {}

    @property
    def reserved(self) -> Reserved | None:
        """What an allowed decision only reserved, by its currency. None if it reserved nothing, or hides what."""
        return parse_reserved(self._personal_value("amount")) if self.is_allowed else None

    @property
    def has_unreadable_amount(self) -> bool:
        """Whether it allowed something with an amount that the server could not read, so that no total has it."""
        return self.can_spend and is_unreadable(self._personal_value("amount"))

    @property
    def connection(self) -> dict[str, Any] | None:
        """The part with everything that a consent covers. None if there is none, or if this reader may not see it."""
        parts = self.groups.get("withheld", [])
        shown = next((part.value for part in parts if part and part.name == "connection"), None)
        return shown if isinstance(shown, dict) else None

    @property
    def call(self) -> dict[str, Any] | None:
        """The part with whatever else is personal. None if there is none, or if it is hidden."""
        call = self._personal_value("call")
        return call if isinstance(call, dict) else None

    def check_context(self) -> None:
        """Raise `Broken` if the amount is not the one that the disclosed context has, or if there are two contexts."""
        call = self._personal_value("call")
        if not self.is_decision or not isinstance(call, dict):
            return
        if "shortenedContext" in call:
            _check_shortened(call)
            return
        context, amount = call.get("context"), self._personal_value("amount")
        if not isinstance(context, dict):
            return
        if amount is not None or None not in self.groups["personal"]:
            check_amount(amount, context.get("amount"))

    @cached_property
    def totals(self) -> Totals | None:
        """The totals of the entry's connection. None if it has none or hides them."""
        value = self._stream_value("connection")
        if value is None:
            return None
        found = read_object(value, "the part connection", {"allowed", "denied", "number", "spent"})
        number, allowed, denied = (read_integer(found[name], name) for name in ("number", "allowed", "denied"))
        return Totals(number, allowed, denied, parse_spent(found["spent"]))

    def number_in(self, stream: str) -> int | None:
        """Return the entry's number in a stream ("person", "connection", "organization:<id>"). If hidden, None."""
        if stream == "connection":
            return self.totals.number if self.totals else None
        value = self._stream_value(stream)
        if value is None:
            return None
        return read_integer(read_object(value, f"the part {stream}", {"number"})["number"], "the number")

    def _personal_value(self, name: str) -> Any:
        return next((part.value for part in self.groups.get("personal", []) if part and part.name == name), None)

    def _stream_value(self, stream: str) -> Any:
        return next((part.value for part in self.groups.get("streams", []) if part and part.name == stream), None)


def read_entry(line: object) -> Entry:
    """Return the entry that a line of an export, or a proof, holds. Its place in the tree is not checked yet.

    Raises `Broken`.
    """
    members = read_object(line, "the line", MEMBERS)
    index = read_integer(members["index"], "the member index")
    try:
        return _read_entry(index, members)
    except Broken as error:
        raise error.at(f"index {index}") from None


def _read_entry(index: int, members: dict[str, Any]) -> Entry:
    if not isinstance(members["entry"], str):
        raise Broken("the entry is not a string")
    data = encode(members["entry"], "the entry")
    leaf = read_object(_parse(data), "the entry", {"index", "record", "streams"})
    if read_integer(leaf["index"], "the entry's index") != index:
        raise Broken(f"the entry says that its index is {leaf['index']}")
    record = _read_record(leaf["record"])
    chain = read_chain(record["chain"], record["agentId"]) if "chain" in record else ()
    roots = {"personal": record["personal"], "withheld": record["withheld"], "streams": leaf["streams"]}
    groups = _open_groups(members["disclosures"], roots)
    _check_names(record, chain, groups)
    if not isinstance(members["proof"], list):
        raise Broken("the proof is not a list")
    time = parse_time(record["timestamp"], "timestamp")
    return Entry(index, hash_leaf(data), members["proof"], record, time, groups, chain)


def _parse(data: bytes) -> object:
    try:
        return parse_json(data)
    except Broken as error:
        raise error.at("the entry") from None


def _read_record(value: Any) -> dict[str, Any]:
    # Later versions may add members, which the hash covers although this version does not know them.
    if not isinstance(value, dict):
        raise Broken("the record is not an object")
    if missing := _RECORD - value.keys():
        raise Broken(f"the record has no {min(missing)}")
    version = CHAINED_VERSION if "chain" in value else 1
    if value["v"] != version or value["outcome"] not in ("allowed", "denied", "info"):
        raise Broken(f"this version does not know the record: v {quote(value['v'])}, outcome {quote(value['outcome'])}")
    for name in (*_TEXTS, *_OPTIONAL_TEXTS):
        if not isinstance(value[name], str) and (name in _TEXTS or value[name] is not None):
            raise Broken(f"{name} is not a string")
    if not isinstance(value["metadata"], dict):
        raise Broken("metadata is not an object")
    for name in _LISTS:
        if not isinstance(value[name], list) or not all(isinstance(item, str) for item in value[name]):
            raise Broken(f"{name} is not a list of strings")
    return value


def _open_groups(disclosures: Any, roots: dict[str, Any]) -> dict[str, list[Part | None]]:
    for group, root in roots.items():
        read_root(root, f"the root of {group}")
    found = read_object(disclosures, "disclosures", set(), frozenset(GROUPS))
    return {group: open_group(group, items, roots[group]) for group, items in found.items()}


def _check_names(record: dict[str, Any], chain: Chain, groups: dict[str, list[Part | None]]) -> None:
    for group, order in (("personal", _PERSONAL), ("withheld", _WITHHELD)):
        shown = [part.name for part in groups.get(group, []) if part]
        if shown != [name for name in order if name in shown]:
            raise Broken(f"the parts of {group} are unknown or out of order: {quote(shown)}")
    services = _service_organizations(record, groups)
    organizations = [record["organizationId"], *(link.organization for link in chain)]
    if "streams" in groups and not _fits_streams(record, organizations, services, groups["streams"]):
        raise Broken("the parts of streams are not those of the entry")


def _check_shortened(call: dict[str, Any]) -> None:
    if "context" in call:
        raise Broken("call has a context and a shortened one")
    shortened = read_object(call["shortenedContext"], "shortenedContext", _SHORTENED)
    read_integer(shortened["size"], "the size of shortenedContext")
    for name in ("sha256", "beginning"):
        read_text(shortened[name], f"{name} of shortenedContext")


def _service_organizations(record: dict[str, Any], groups: dict[str, list[Part | None]]) -> list[str] | None:
    """Return the organizations whose services are concerned, or None if a hidden part may name them."""
    named: list[str] = record["serviceOrganizationIds"]
    parts = groups.get("withheld", [None])
    if named or record["withheld"] is None:
        return named
    for part in parts:
        if part and part.name == "services":
            return _read_services(part.value)
    return None if None in parts else named


def _read_services(value: Any) -> list[str]:
    if isinstance(value, list) and len(value) > 1 and all(isinstance(one, str) for one in value):
        return value
    raise Broken("the part services is not a list of several organizations")


def _read_removed(connection: Any) -> list[str]:
    metadata = connection.get("metadata") if isinstance(connection, dict) else None
    removed = metadata.get("removed") if isinstance(metadata, dict) else None
    if isinstance(removed, list) and all(isinstance(one, str) for one in removed):
        return removed
    raise Broken("the part connection does not say which scopes were removed")


def _fits_streams(
    record: dict[str, Any], agents: list[str | None], services: list[str] | None, parts: list[Part | None]
) -> bool:
    """Return whether these can be the parts of the entry's streams, in order. `agents` are their organizations."""
    organizations = [f"organization:{one}" for one in dict.fromkeys(filter(None, [*agents, *(services or ())]))]
    others = ["person"] * (record["userId"] is not None) + ["connection"] * (record["consentId"] is not None)
    if _fits(parts, [*organizations, *others]):
        return True
    count = len(parts) - len(others)
    # A hidden list has at least two organizations. This reader knows the name of their own and of the agents'.
    return (
        services is None and count > 1 and _fits_hidden(parts[:count], organizations) and _fits(parts[count:], others)
    )


def _fits(parts: list[Part | None], names: list[str]) -> bool:
    return len(parts) == len(names) and all(
        part is None or part.name == name for part, name in zip(parts, names, strict=True)
    )


def _fits_hidden(parts: list[Part | None], first: list[str]) -> bool:
    opened, count = [part.name for part in parts if part], len(first)
    begins = _fits(parts[:count], first) and not any(part and part.name in first for part in parts[count:])
    return begins and len(opened) == len(set(opened)) and all(name.startswith("organization:") for name in opened)
