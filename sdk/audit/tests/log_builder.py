"""A second, independent implementation of the log's formats, which can also lie. It imports nothing of the package."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "gate.example.com/api/v1/audit"
PERSON, AGENT, CONSENT, ORGANIZATION, SERVICE = "usr_1", "agt_1", "con_1", "org_1", "org_2"
LINK = ("agentId", "delegationId", "organizationId")
BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)


def canonical(value: Any) -> str:
    """The builder uses no floats and only ASCII names, for which this is RFC 8785."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def moment(seconds: float) -> str:
    return (BEGIN + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Tree:
    """RFC 6962, section 2.1, as it is written there."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves
        self.mth = cache(self._mth)

    def _mth(self, begin: int, end: int) -> bytes:
        if end - begin == 0:
            return sha256(b"")
        if end - begin == 1:
            return sha256(b"\0", self.leaves[begin])
        k = begin + split(end - begin)
        return sha256(b"\1", self.mth(begin, k), self.mth(k, end))

    def path(self, index: int, begin: int, end: int) -> list[bytes]:
        if end - begin == 1:
            return []
        k = begin + split(end - begin)
        if index < k:
            return [*self.path(index, begin, k), self.mth(k, end)]
        return [*self.path(index, k, end), self.mth(begin, k)]

    def proof(self, old: int, size: int) -> list[bytes]:
        return self._subproof(old, 0, size, True) if 0 < old < size else []

    def _subproof(self, old: int, begin: int, end: int, whole: bool) -> list[bytes]:
        if old == end - begin:
            return [] if whole else [self.mth(begin, end)]
        k = split(end - begin)
        if old <= k:
            return [*self._subproof(old, begin, begin + k, whole), self.mth(begin + k, end)]
        return [*self._subproof(old - k, begin + k, end, False), self.mth(begin, begin + k)]

    def write_tiles(self, folder: Path, size: int) -> None:
        level = 0
        while width := size >> (8 * level):
            for number in range(-(-width // 256)):
                count = min(256, width - 256 * number)
                name = f"{number:03}" + (f".p/{count}" if count < 256 else "")
                path = folder / "tile" / str(level) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                step = 256**level
                nodes = range(256 * number, 256 * number + count)
                path.write_bytes(b"".join(self.mth(node * step, (node + 1) * step) for node in nodes))
            level += 1


def split(count: int) -> int:
    k = 1
    while 2 * k < count:
        k *= 2
    return k


class Signer:
    """A key of a log (kind 1) or a witness (kind 4)."""

    def __init__(self, name: str = ORIGIN, kind: int = 1, seed: int = 1) -> None:
        self.name = name
        self.private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public = bytes([kind]) + self.private.public_key().public_bytes_raw()
        self.id = sha256(name.encode(), b"\n", self.public)[:4]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64(self.public)}"

    def line(self, signature: bytes) -> str:
        return f"— {self.name} {b64(self.id + signature)}\n"

    def sign(self, text: str) -> str:
        return self.line(self.private.sign(text.encode()))

    def cosign(self, text: str, seconds: int = 1_770_000_000) -> str:
        message = f"cosignature/v1\ntime {seconds}\n{text}".encode()
        return self.line(struct.pack(">Q", seconds) + self.private.sign(message))


@dataclass
class Parts:
    items: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, value: Any) -> None:
        salt = sha256(name.encode(), str(len(self.items)).encode(), canonical(value).encode()).hex()[:32]
        self.items.append((name, canonical([salt, name, value])))

    @property
    def root(self) -> str | None:
        digests = [sha256(text.encode()) for _, text in self.items]
        return sha256(*digests).hex() if digests else None

    def shown(self, names: set[str] | None = None) -> list[Any]:
        return [
            text if names is None or name in names else {"digest": sha256(text.encode()).hex()}
            for name, text in self.items
        ]


class LogBuilder:
    """A log in memory. `lie_about` changes the number or a total of the next entry, and of those after it."""

    def __init__(self, signer: Signer | None = None) -> None:
        self.signer = signer or Signer()
        self.leaves: list[bytes] = []
        self.groups: list[dict[str, Parts]] = []
        self.records: list[dict[str, Any]] = []
        self.numbers: dict[str, int] = defaultdict(int)
        self.totals: dict[str, dict[str, Any]] = {}
        self.services: list[list[str]] = []
        self.tree = Tree(self.leaves)

    def add(self, event: str, outcome: str = "info", **options: Any) -> int:
        """Add an entry. `at`: seconds after the first; other options are members of the record or parts."""
        index = len(self.leaves)
        personal, withheld = Parts(), Parts()
        for name in ("ip", "userAgent", "resource", "amount", "call"):
            if name in options:
                personal.add(name, options.pop(name))
        for name in ("policy", "connection"):
            if name in options:
                withheld.add(name, options.pop(name))
        chain = [dict(zip(LINK, link, strict=True)) for link in options.pop("chain", ())]
        chained = {"v": 2, "chain": chain, "agentId": chain[-1]["agentId"]} if chain else {}
        if several := options.pop("services", []):
            withheld.add("services", several)
        record = {
            "v": 1,
            "id": f"log_{index}",
            "timestamp": moment(options.pop("at", index)),
            "event": event,
            "outcome": outcome,
            "reason": "policy_denied" if outcome == "denied" else None,
            "organizationId": ORGANIZATION,
            "serviceOrganizationIds": [],
            "actor": {"kind": "agent", "id": AGENT},
            "userId": PERSON,
            "agentId": AGENT,
            "consentId": CONSENT,
            "action": None,
            "scopes": ["email:read"],
            "requestId": None,
            "metadata": {"note": "grün"},
            "personal": personal.root,
            "withheld": withheld.root,
            **chained,
            **options,
        }
        counted = {**record, "serviceOrganizationIds": several} if several else record
        streams = self._streams(counted, personal)
        self.services.append(several)
        self.leaves.append(canonical({"index": index, "record": record, "streams": streams.root}).encode())
        self.groups.append({"personal": personal, "withheld": withheld, "streams": streams})
        self.records.append(record)
        return index

    def allow(self, **options: Any) -> int:
        return self.add("token.verify", "allowed", **options)

    def deny(self, **options: Any) -> int:
        return self.add("token.verify", "denied", **options)

    def fill(self, count: int) -> None:
        """Add entries of others."""
        for _ in range(count):
            self.add("token.verify", "allowed", userId="usr_9", consentId="con_9", organizationId="org_9")

    def skip_number(self, stream: str) -> None:
        self.numbers[stream] += 1

    def lie_about(self, total: str, by: Any) -> None:
        totals = self.totals_of(CONSENT)
        if total in ("allowed", "denied"):
            totals[total] += by
        else:
            totals["spent"][total] = totals["spent"].get(total, Decimal()) + Decimal(by)

    def totals_of(self, consent: str) -> dict[str, Any]:
        return self.totals.setdefault(consent, {"allowed": 0, "denied": 0, "spent": {}})

    def _streams(self, record: dict[str, Any], personal: Parts) -> Parts:
        parts = Parts()
        above = [link["organizationId"] for link in record.get("chain", ())]
        for organization in dict.fromkeys([record["organizationId"], *above, *record["serviceOrganizationIds"]]):
            if organization is not None:
                parts.add(f"organization:{organization}", {"number": self._next(f"organization {organization}")})
        if record["userId"] is not None:
            parts.add("person", {"number": self._next(f"person {record['userId']}")})
        if record["consentId"] is not None:
            parts.add("connection", self._connection(record, personal))
        return parts

    def _next(self, stream: str) -> int:
        self.numbers[stream] += 1
        return self.numbers[stream]

    def _connection(self, record: dict[str, Any], personal: Parts) -> dict[str, Any]:
        totals = self.totals_of(record["consentId"])
        is_decision = record["event"] == "token.verify"
        if is_decision:
            totals[record["outcome"]] += 1
        if is_decision or record["event"] == "reservation.committed":
            amounts = [json.loads(text)[2] for name, text in personal.items if name == "amount"]
            amounts = [one for one in amounts if one != {"unreadable": True} and "reserved" not in one]
            for amount in amounts if record["outcome"] != "denied" else []:
                spent = totals["spent"]
                if amount["currency"] not in spent and len(spent) >= 16:
                    continue
                spent[amount["currency"]] = spent.get(amount["currency"], Decimal()) + Decimal(str(amount["value"]))
        return {
            "number": self._next(f"connection {record['consentId']}"),
            "allowed": totals["allowed"],
            "denied": totals["denied"],
            "spent": {currency: str(value) for currency, value in totals["spent"].items()},
        }

    def body(self, size: int | None = None) -> str:
        size = len(self.leaves) if size is None else size
        return f"{self.signer.name}\n{size}\n{b64(self.tree.mth(0, size))}\ntime {moment(size)}\n"

    def checkpoint(self, size: int | None = None, *witnesses: Signer) -> str:
        body = self.body(size)
        return f"{body}\n{self.signer.sign(body)}{''.join(witness.cosign(body) for witness in witnesses)}"

    def line(self, index: int, size: int, kind: str = "person", id_: str = PERSON) -> dict[str, Any]:
        shown = {f"organization:{id_}"} if kind == "organization" else {"person", "connection"}
        groups = self.groups[index]
        disclosures = {name: parts.shown() for name, parts in groups.items() if parts.items and name != "streams"}
        disclosures["streams"] = groups["streams"].shown(shown)
        if kind == "organization" and id_ in self.services[index]:
            disclosures["withheld"] = groups["withheld"].shown({"policy"})
        proof = [b64(node) for node in self.tree.path(index, 0, size)]
        return {"index": index, "entry": self.leaves[index].decode(), "disclosures": disclosures, "proof": proof}

    def proof(self, index: int) -> dict[str, Any]:
        return {**self.line(index, len(self.leaves)), "checkpoint": self.checkpoint()}

    def export(
        self,
        kind: str = "person",
        id_: str = PERSON,
        start: float | None = None,
        end: float | None = None,
        witnesses: tuple[Signer, ...] = (),
        **options: Any,
    ) -> Export:
        """Add the export's own entry and return the export."""
        bounds = {"from": start, "to": end}
        metadata = {name: moment(value) for name, value in bounds.items() if value is not None}
        options = {
            "at": 10_000,
            "metadata": {"stream": kind, **metadata},
            **({"consentId": None} if kind != "connection" else {}),
            **options,
        }
        own = self.add(options.pop("event", "audit.exported"), **options)
        size = len(self.leaves)
        indices = [index for index in range(size) if self._is_in(index, kind, id_)]
        chosen = self._window(indices, start, end) if start is not None or end is not None else indices
        header = {
            "format": "agentgate-audit-export/1",
            "key": self.signer.vkey,
            "stream": {"kind": kind, "id": id_},
            "from": None if start is None else moment(start),
            "to": None if end is None else moment(end),
            "createdAt": moment(10_000),
        }
        last = {
            "checkpoint": self.checkpoint(size, *witnesses),
            "stream": {"kind": kind, "id": id_, "number": self.numbers[f"{kind} {id_}"]},
        }
        return Export(header, [self.line(index, size, kind, id_) for index in sorted({*chosen, own})], last)

    def _is_in(self, index: int, kind: str, id_: str) -> bool:
        record = self.records[index]
        if kind == "organization":
            above = [link["organizationId"] for link in record.get("chain", ())]
            return id_ in (record["organizationId"], *above, *record["serviceOrganizationIds"], *self.services[index])
        return bool(record["userId" if kind == "person" else "consentId"] == id_)

    def _window(self, indices: list[int], start: float | None, end: float | None) -> list[int]:
        times = [self.records[index]["timestamp"] for index in indices]
        low = "" if start is None else moment(start)
        high = "9" if end is None else moment(end)
        inside = [place for place, time in enumerate(times) if low <= time < high]
        return indices[max(0, inside[0] - 1) : inside[-1] + 2]


@dataclass
class Export:
    """The lines of an export, which a test can change."""

    header: dict[str, Any]
    entries: list[dict[str, Any]]
    last: dict[str, Any]

    def lines(self) -> Iterator[dict[str, Any]]:
        yield from (self.header, *self.entries, self.last)

    def data(self) -> bytes:
        return "".join(canonical(line) + "\n" for line in self.lines()).encode()

    def write(self, path: Path) -> Path:
        path.write_bytes(self.data())
        return path
