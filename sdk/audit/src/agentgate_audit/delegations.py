"""The tree of delegations: each is within the one above it, and so is each call, until the delegation ends.

What an agent handed on is an entry of the log, `delegation.created`, whose chain ends with the delegation. So the tree
follows from these entries. It is kept in memory, and nothing of the calls below it but the sums of its limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .amounts import Spent
from .chains import Chain
from .checks import Stream
from .entries import Entry
from .errors import Broken, quote
from .strict_json import read_integer, read_text
from .sums import Sum, read_sums, types_of
from .times import format_time, parse_time

CREATED, REDEEMED, ENDED = "delegation.created", "delegation.redeemed", "delegation.ended"
APPROVED, NARROWED, REPLACED = "consent.approved", "consent.narrowed", "consent.replaced"
# These end all tokens of a family, and with them what the agent handed on by these tokens.
FAMILY_ENDS = ("token.revoked", "token.replayed")
COMMITTED = "reservation.committed"
RESOLVED = (COMMITTED, "reservation.voided", "reservation.lapsed")
MAX_DEPTH = 4
NONE, DEVELOPER = "none", "developer"


@dataclass
class Delegation:
    """What an agent handed to another one. `chain` leads to the receiver, and `family` is of its tokens.

    `limits` is what the delegation allows by scope, or None if the export does not disclose it, and `sums` are those
    of them that count. `targets` are the only ones that scopes concern, if the export discloses them.
    """

    id: str
    entry: str
    index: int
    time: int
    chain: Chain
    user: str | None
    consent: str | None
    scopes: frozenset[str]
    expires: int
    max_depth: int
    from_family: str
    targets: dict[str, list[str]]
    limits: dict[str, list[Any]] | None
    sums: list[Sum]
    family: str | None = None

    @property
    def depth(self) -> int:
        return len(self.chain) - 1


@dataclass
class Grant:
    """What a user granted by a consent: to which agent, which scopes, until when. None is not known.

    `mode` is to which agents it may hand work: `none`, `developer` for those of its own organization, or `verified`.
    """

    agent: str | None = None
    entry: str | None = None
    time: int | None = None
    scopes: frozenset[str] | None = None
    expires: int | None = None
    mode: str | None = None

    def narrow(self, entry: Entry) -> None:
        """Take what a narrowing took. What this reader may not see of it stays: it can only be less."""
        self.scopes = self.scopes and self.scopes - {*entry.removed_scopes}
        after = _metadata_of(entry).get("after")
        if self.mode is not None and isinstance(after, dict):
            self.mode = after.get("delegation", NONE)


@dataclass
class Delegations:
    """All delegations so far, what has ended, and what could not be checked because it is not in the export."""

    stream: Stream
    known: dict[str, Delegation] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    calls: int = 0  # allowed, by a chain
    outside: int = 0  # of these, below a delegation whose creation is not in the export
    hidden_amounts: int = 0  # of these, with a limit of money, but without an amount
    _ended: dict[str, int] = field(default_factory=dict)
    _families: dict[str, tuple[str, int]] = field(default_factory=dict)
    _successors: dict[str, str] = field(default_factory=dict)
    _held: dict[str, list[Sum]] = field(default_factory=dict)
    _is_incomplete: bool = False

    @property
    def hidden_limits(self) -> int:
        """How many delegations have limits that the export does not disclose."""
        return sum(one.limits is None for one in self.known.values())

    @property
    def sums(self) -> int:
        return sum(len(one.sums) for one in self.known.values())

    def check(self, entry: Entry, spent: Spent | None) -> None:
        """Check what the entry says of delegations, and remember it. `spent` is its amount, if known.

        Raises `Broken`.
        """
        event = entry.record["event"]
        if event == CREATED:
            self._create(entry)
        elif event == REDEEMED:
            self._redeem(entry)
        elif entry.says_yes:
            self._check_allowed(entry, spent)
        elif event in RESOLVED:
            self._resolve(entry, spent)
        self._note(entry)

    def _create(self, entry: Entry) -> None:
        new = _read(entry)
        if earlier := self.known.get(new.id):
            raise Broken(f"creates the delegation {_name(new.id)}, which index {earlier.index} created")
        if len({link.agent for link in new.chain}) < len(new.chain):
            raise Broken(f"an agent stands twice in the chain of the delegation {_name(new.id)}")
        path = self._path(entry, new.chain[:-1])
        if not new.depth <= new.max_depth <= MAX_DEPTH:
            raise Broken(f"the delegation {_name(new.id)} is at depth {new.depth}, and at most {new.max_depth} deep")
        self._check_root(entry)
        _check_within_grant(new, self.grants.get(new.consent or "", Grant()))
        for above in path:
            _check_within(new, above)
        self._check_tokens(new, path)
        self.known[new.id] = new

    def _check_tokens(self, new: Delegation, path: list[Delegation]) -> None:
        """Check that it was made with the tokens that its maker got for the delegation above."""
        parent = path[-1] if path and path[-1].chain == new.chain[:-1] else None
        if parent is None or parent.family == new.from_family:
            return
        if parent.family or not self._can_be_outside(parent.chain):
            raise Broken(f"the delegation {_name(new.id)} was made with other tokens than those of {_name(parent.id)}")

    def _redeem(self, entry: Entry) -> None:
        path = self._path(entry, entry.chain)
        last = path[-1] if path and path[-1].chain == entry.chain else None
        if last and last.family:
            raise Broken(f"the delegation {_name(last.id)} is redeemed a second time")
        if last:
            last.family = read_text(entry.record["metadata"].get("familyId"), "familyId")

    def _check_allowed(self, entry: Entry, spent: Spent | None) -> None:
        self._check_root(entry)
        if not entry.chain:
            return
        path = self._path(entry, entry.chain)
        self._check_live(entry, path)
        for above in path:
            _check_scopes(entry.record["scopes"], above.scopes, f"the delegation {_name(above.id)}")
        if entry.is_decision:
            self.calls += 1
            self.outside += len(path) < len(entry.chain) - 1
            self._count(entry, path, spent)

    def _check_root(self, entry: Entry) -> None:
        """Check that the consent is the first agent's: without its chain, a call would count for no delegation."""
        consent = entry.record["consentId"]
        if consent is None or not entry.agents:
            return
        grant, root = self.grants.setdefault(consent, Grant()), entry.agents[0].agent
        grant.agent = grant.agent or root
        if grant.agent != root:
            raise Broken(f"the agent {_name(root)} acts under the consent of {_name(grant.agent)} without a delegation")
        if entry.chain and (grant.mode == NONE or (grant.mode == DEVELOPER and _leaves_developer(entry.chain))):
            raise Broken(f"the user does not let work be handed on like this, but says {quote(grant.mode)}")

    def _path(self, entry: Entry, chain: Chain) -> list[Delegation]:
        """Return the delegations of a chain, from the first one. Those that need not be in the export can be missing.

        Raises `Broken` if the chain is not theirs.
        """
        found = []
        for length in range(2, len(chain) + 1):
            part, name = chain[:length], str(chain[length - 1].delegation)
            one = self.known.get(name)
            if one is None and not self._can_be_outside(part):
                raise Broken(f"names the delegation {_name(name)}, which was not created")
            if one is None:
                continue
            if one.chain != part:
                raise Broken(
                    f"has another chain to the delegation {_name(name)} than its creation at index {one.index}"
                )
            if one.user != entry.record["userId"] or not self._is_consent_of(one, entry):
                raise Broken(f"is of another connection than the delegation {_name(name)}")
            found.append(one)
        return found

    def _can_be_outside(self, chain: Chain) -> bool:
        """Return whether a delegation to which the chain leads can have been created outside the export."""
        if self.stream.start is not None or self._is_incomplete:
            return True
        # Its own organization and those above it have its creation in their streams.
        return self.stream.kind == "organization" and self.stream.id not in [link.organization for link in chain]

    def _is_consent_of(self, one: Delegation, entry: Entry) -> bool:
        """Return whether the entry's consent is that of the delegation, or has replaced it."""
        consent, wanted = one.consent, entry.record["consentId"]
        for _ in self._successors:  # a log that lies can replace one by itself
            if consent != wanted:
                consent = self._successors.get(consent or "", consent)
        # Only the organization of the first agent is told what replaces its consent.
        return consent == wanted or self.stream.kind == "organization"

    def _check_live(self, entry: Entry, path: list[Delegation]) -> None:
        """Check that a call comes before all ends. What is made or redeemed meanwhile allows nothing."""
        for link in entry.chain[1:]:
            index = self._ended.get(str(link.delegation))
            if index is not None:
                raise Broken(f"comes after the end of the delegation {_name(link.delegation)} at index {index}")
        for one in path:
            if entry.time >= one.expires:
                raise Broken(f"the delegation {_name(one.id)} ended at {format_time(one.expires)}")
            for family in (one.from_family, one.family):
                if family in self._families:
                    event, index = self._families[family]
                    raise Broken(f"comes after {event} at index {index}, which ended what {_name(one.id)} needs")

    def _count(self, entry: Entry, path: list[Delegation], spent: Spent | None) -> None:
        sums = [each for one in path for each in one.sums if each.concerns(entry)]
        for each in sums:
            if not each.currency:
                each.take(Decimal(1), entry.time)
        of_money = [each for each in sums if each.currency]
        if not of_money:
            return
        reserved, amount = entry.reserved, entry.amount if entry.amount is not None else spent
        if reserved:
            self._hold(entry, of_money, *reserved)
        elif not amount and (entry.amount is None):
            self.hidden_amounts += 1
        else:
            for each in of_money:
                each.take(_amount_in(each, amount or {}), entry.time)

    def _hold(self, entry: Entry, sums: list[Sum], currency: str, number: Decimal) -> None:
        metadata = entry.record["metadata"]
        reservation = read_text(metadata.get("reservationId"), "reservationId")
        until = parse_time(metadata.get("heldUntil"), "heldUntil")
        self._held[reservation] = sums
        for each in sums:
            each.hold(reservation, _amount_in(each, {currency: number}), until, entry.time)

    def _resolve(self, entry: Entry, spent: Spent | None) -> None:
        reservation = entry.record["metadata"].get("reservationId")
        sums = self._held.pop(reservation, []) if isinstance(reservation, str) else []
        for each in sums:
            held = each.release(reservation)
            if entry.record["event"] == COMMITTED and spent is None:
                self.hidden_amounts += 1
            elif entry.record["event"] == COMMITTED:
                number = (spent or {}).get(each.currency, Decimal())
                if number > held:
                    raise Broken(f"commits {number:f}, but {held:f} was reserved")
                each.take(number, entry.time)

    def _note(self, entry: Entry) -> None:
        """Remember what ends with the entry, and what a consent covers."""
        record = entry.record
        event, metadata, consent = record["event"], record["metadata"], record["consentId"]
        if event == ENDED and entry.chain:
            self._ended.setdefault(str(entry.chain[-1].delegation), entry.index)
        elif event in FAMILY_ENDS and isinstance(metadata.get("familyId"), str):
            self._families.setdefault(metadata["familyId"], (event, entry.index))
        elif event == REPLACED and isinstance(metadata.get("replacedBy"), str):
            self._successors[consent] = metadata["replacedBy"]
        elif event == APPROVED and consent is not None:
            self.grants[consent] = _read_grant(entry)
            # What was handed on under a consent that this one replaced is in the stream of the other connection.
            self._is_incomplete |= self.stream.kind == "connection" and _may_replace(entry)
        elif event == NARROWED and consent in self.grants:
            self.grants[consent].narrow(entry)
        elif entry.is_damaged:
            self._is_incomplete = True


def _read(entry: Entry) -> Delegation:
    record, metadata = entry.record, entry.record["metadata"]
    if not entry.chain:
        raise Broken("a delegation was created without a chain")
    *above, last = entry.chain
    if metadata.get("parentId") != above[-1].delegation:
        raise Broken(f"names the parent {quote(metadata.get('parentId'))}, and its chain {quote(above[-1].delegation)}")
    limits = _read_limits(entry)
    return Delegation(
        id=str(last.delegation),
        entry=record["id"],
        index=entry.index,
        time=entry.time,
        chain=entry.chain,
        user=record["userId"],
        consent=record["consentId"],
        scopes=frozenset(record["scopes"]),
        expires=parse_time(metadata.get("expiresAt"), "expiresAt"),
        max_depth=read_integer(metadata.get("maxDepth"), "maxDepth"),
        from_family=read_text(metadata.get("fromFamilyId"), "fromFamilyId"),
        targets=_read_targets(entry),
        limits=limits,
        sums=read_sums(str(last.delegation), limits or {}),
    )


def _read_targets(entry: Entry) -> dict[str, list[str]]:
    """Return the names of the targets by scope. The record does not say whether there are any."""
    terms = (entry.call or {}).get("terms", {})
    try:
        return {
            scope: [read_text(name, "a target") for bound in bounds for name in bound["identifiers"]]
            for scope, bounds in terms.get("targets", {}).items()
        }
    except (AttributeError, KeyError, TypeError):
        raise Broken("the targets of the delegation are malformed") from None


def _read_limits(entry: Entry) -> dict[str, list[Any]] | None:
    """Return the limits by scope, or None if they are not disclosed. The record has their types."""
    types, terms = entry.record["metadata"].get("limits", {}), (entry.call or {}).get("terms", {})
    if types and entry.call is None:
        return None
    limits: dict[str, list[Any]] = terms.get("limits", {}) if isinstance(terms, dict) else {}
    if types_of(limits) != types:
        raise Broken("the limits of the delegation are not of the types that its entry states")
    return limits


def _check_within(new: Delegation, above: Delegation) -> None:
    _check_scopes(new.scopes, above.scopes, f"the delegation {_name(above.id)} above it")
    if new.expires > above.expires:
        raise Broken(f"the delegation {_name(new.id)} ends after {_name(above.id)} above it")
    if new.max_depth > above.max_depth:
        raise Broken(f"the delegation {_name(new.id)} may be handed on further than {_name(above.id)} above it")


def _check_within_grant(new: Delegation, grant: Grant) -> None:
    if grant.scopes is not None:
        _check_scopes(new.scopes, grant.scopes, f"the consent {_name(new.consent)}")
    if grant.expires is not None and new.expires > grant.expires:
        raise Broken(f"the delegation {_name(new.id)} ends after the consent {_name(new.consent)}")


def _check_scopes(scopes: Any, allowed: frozenset[str], whose: str) -> None:
    if beyond := set(scopes) - allowed:
        raise Broken(f"the scope {quote(min(beyond))} is beyond {whose}")


def _amount_in(limit: Sum, amount: Spent) -> Decimal:
    """Return what counts in a limit of money. Raises `Broken` for a call that it does not allow at all."""
    if limit.currency not in amount:
        raise Broken(
            f"was allowed without an amount in {quote(limit.currency)[1:-1]}, which the delegation"
            f" {_name(limit.delegation)} requires"
        )
    return amount[limit.currency]


def _read_grant(entry: Entry) -> Grant:
    scopes, metadata = (entry.connection or {}).get("scopes"), _metadata_of(entry)
    grant = Grant(entry.record["agentId"], entry.record["id"], entry.time)
    if isinstance(scopes, list):
        grant.scopes = frozenset(_texts(scopes))
    if entry.connection is not None:
        mode = metadata.get("delegation", {})
        grant.mode = mode.get("after", NONE) if isinstance(mode, dict) else NONE
    if "expiresAt" in metadata:
        grant.expires = parse_time(metadata["expiresAt"], "expiresAt")
    return grant


def _may_replace(entry: Entry) -> bool:
    return entry.connection is None or _metadata_of(entry).get("replacedConsentId") is not None


def _metadata_of(entry: Entry) -> dict[str, Any]:
    """Return what the entry says of a whole consent, or nothing if this reader may not see it."""
    metadata = (entry.connection or {}).get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _leaves_developer(chain: Chain) -> bool:
    """Return whether an agent of the chain belongs to another organization than the first one."""
    return chain[0].organization is None or any(link.organization != chain[0].organization for link in chain)


def _texts(values: list[Any]) -> Iterator[str]:
    yield from (read_text(value, "a scope") for value in values)


def _name(value: str | None) -> str:
    """Return an id as it is safe to print."""
    return quote(value)[1:-1] if value is not None else "none"
