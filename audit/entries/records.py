"""Records: what the log keeps of an entry. `finish` makes one without the database, `place` gives it its index."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from audit.entries import parts
from audit.entries.drafts import Prepared
from audit.entries.facets import Facets, facets_of
from audit.entries.packing import pack, unpack
from audit.entries.subjects import subject_of
from audit.sequencing.streams import Numbers
from core.canonical import canonical_json, encode_common

ORGANIZATION = "organization:"
PERSON = "person"
CONNECTION = "connection"
LEAF_PREFIX = b"\x00"


class Record(NamedTuple):
    """A finished entry. `body` is the evidence, as canonical JSON.

    `personal` is to be encrypted under the key of `subject`, or empty.
    """

    id: str
    body: bytes
    personal: bytes
    opening: "Opening"
    timestamp: datetime
    event: str
    outcome: str
    user_id: str | None
    agent_id: str | None
    consent_id: str | None
    organization_ids: list[str]
    scopes: list[str]
    amount: Mapping[str, Any] | None
    subject: str
    facets: Facets


class Opening(NamedTuple):
    """What opens the commitments to withheld parts and, once the entry is placed, to stream numbers."""

    secret: bytes
    withheld: Mapping[str, Any]

    def withheld_disclosures(self) -> list[bytes]:
        return parts.disclosures(self.secret + b"withheld", self.withheld)


def finish(prepared: Prepared) -> Record:
    """Return the record of an entry. Raises `ValueError` if JSON cannot represent it."""
    content, personal, withheld = prepared
    organization_ids = prepared.organization_ids
    opening = Opening(os.urandom(parts.SECRET_BYTES), withheld)
    sealed, personal_root = _finish_personal(personal)
    body = encode_common(
        {
            **content,
            "metadata": orjson.Fragment(canonical_json(content["metadata"])),
            "personal": personal_root,
            "withheld": parts.root(opening.withheld_disclosures()) if withheld else None,
        }
    )
    return Record(
        content["id"],
        body,
        sealed,
        opening,
        datetime.fromisoformat(content["timestamp"]),
        content["event"],
        content["outcome"],
        content["userId"],
        content["agentId"],
        content["consentId"],
        organization_ids,
        content["scopes"],
        personal.get("amount"),
        subject_of(content, organization_ids),
        facets_of(content, withheld),
    )


def leaf(body: bytes, index: int, streams: str | None) -> bytes:
    """Return the bytes of a leaf of the tree: the record with its index and the root of its stream numbers."""
    return b'{"index":%d,"record":%b,"streams":%b}' % (index, body, b'"%b"' % streams.encode() if streams else b"null")


def hash_leaf(data: bytes) -> bytes:
    """Return the hash of a leaf (RFC 6962 section 2.1)."""
    return hashlib.sha256(LEAF_PREFIX + data).digest()


def stream_names(organization_ids: Sequence[str], user_id: str | None, consent_id: str | None) -> list[str]:
    """Return the names of an entry's parts in the group `streams`, in order."""
    names = [ORGANIZATION + one for one in organization_ids]
    names += [PERSON] if user_id else []
    return [*names, CONNECTION] if consent_id else names


def stream_disclosures(secret: bytes, names: Sequence[str], numbers: Numbers) -> list[bytes]:
    """Return the disclosures of an entry's numbers, in the order of `names`."""
    values = [b'{"number":%d}' % number for number in numbers.plain]
    if numbers.totals is not None:
        values.append(numbers.totals.encode())
    return parts.encoded_disclosures(secret, list(zip(names, values, strict=True)))


def commit_numbers(secret: bytes, organization_ids: Sequence[str], has_user: bool, numbers: Numbers) -> str | None:
    """Return the root of `stream_disclosures`, or None for an entry in no stream."""
    names = [b"organization:%b" % one.encode() for one in organization_ids]
    if has_user:
        names.append(b"person")
    found = [(name, b'{"number":%d}' % number) for name, number in zip(names, numbers.plain, strict=True)]
    if numbers.totals is not None:
        found.append((b"connection", numbers.totals.encode()))
    return parts.commit(secret, found) if found else None


def encode_opening(opening: Opening, numbers: Numbers) -> bytes:
    """Return the bytes that the log keeps of an opening."""
    totals = numbers.totals and [*numbers.totals]
    return opening.secret + orjson.dumps([numbers.plain, totals, opening.withheld or None])


def decode_opening(stored: bytes | memoryview) -> tuple[Opening, Numbers]:
    """Return what `encode_opening` stored. Raises `ValueError` if that was damaged."""
    stored = bytes(stored)
    try:
        plain, totals, withheld = orjson.loads(stored[parts.SECRET_BYTES :])
        return Opening(stored[: parts.SECRET_BYTES], withheld or {}), Numbers.from_lists(plain, totals)
    except (TypeError, LookupError, ArithmeticError) as error:
        raise ValueError(f"Not an opening: {error!r}") from error


def open_personal(plain: bytes) -> tuple[bytes, dict[str, Any]]:
    """Return the secret and the parts of personal data, once decrypted. Raises `ValueError` if they were damaged."""
    found: dict[str, Any] = orjson.loads(unpack(plain[parts.SECRET_BYTES :]))
    return plain[: parts.SECRET_BYTES], found


def _finish_personal(personal: Mapping[str, Any]) -> tuple[bytes, str | None]:
    """Return the personal data to encrypt, and its root."""
    if not personal:
        return b"", None
    secret = os.urandom(parts.SECRET_BYTES)
    encoded = [(name.encode(), canonical_json(value)) for name, value in personal.items()]
    together = b"{%b}" % b",".join([b'"%b":%b' % one for one in encoded])
    return secret + pack(together), parts.commit(secret, encoded)
