"""Read and check exports, independently of the code that makes them."""

import hashlib
import json
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Exported:
    """An export whose proofs and disclosures hold."""

    header: Json
    entries: list[Json]
    footer: Json

    @property
    def records(self) -> list[Json]:
        return [json.loads(line["entry"])["record"] for line in self.entries]

    @property
    def numbers(self) -> list[int]:
        """Return the entries' numbers in the stream of the export."""
        stream = self.header["stream"]
        name = f"organization:{stream['id']}" if stream["kind"] == "organization" else stream["kind"]
        return [opened(line, "streams")[name]["number"] for line in self.entries]


def read_export(body: bytes) -> Exported:
    assert body.endswith(b"\n")
    header, *entries, footer = map(json.loads, body.splitlines())
    size, root = size_and_root(footer["checkpoint"])
    for line in entries:
        check_line(line, size, root)
    indexes = [line["index"] for line in entries]
    assert indexes == sorted(set(indexes))
    assert footer["stream"] == {**header["stream"], "number": Exported(header, entries, footer).numbers[-1]}
    return Exported(header, entries, footer)


def check_line(line: Json, size: int, root: bytes) -> None:
    leaf = json.loads(line["entry"])
    assert leaf["index"] == line["index"]
    leaf_hash = hashlib.sha256(b"\0" + line["entry"].encode()).digest()
    assert root_from(leaf_hash, line["index"], size, [b64decode(one) for one in line["proof"]]) == root
    roots = {"streams": leaf["streams"], **{name: leaf["record"][name] for name in ("personal", "withheld")}}
    for group, disclosures in line["disclosures"].items():
        digests = [digest_of(each) for each in disclosures]
        assert hashlib.sha256(b"".join(digests)).hexdigest() == roots[group]


def opened(line: Json, group: str) -> Json:
    """Return the parts that are disclosed, by name."""
    shown = [json.loads(each) for each in line["disclosures"].get(group, ()) if isinstance(each, str)]
    return {name: value for _, name, value in shown}


def digest_of(disclosure: str | Json) -> bytes:
    if isinstance(disclosure, str):
        return hashlib.sha256(disclosure.encode()).digest()
    assert set(disclosure) == {"digest"}
    return bytes.fromhex(disclosure["digest"])


def size_and_root(note: str) -> tuple[int, bytes]:
    _, size, root, *_ = note.split("\n")
    return int(size), b64decode(root)


def root_from(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root that an audit path leads to (RFC 9162 section 2.1.3.2)."""
    path, last, found = list(proof), size - 1, leaf_hash
    while last:
        if index % 2 or index == last:
            if index % 2:
                found = hashlib.sha256(b"\1" + path.pop(0) + found).digest()
        else:
            found = hashlib.sha256(b"\1" + found + path.pop(0)).digest()
        index, last = index // 2, last // 2
    assert not path
    return found
