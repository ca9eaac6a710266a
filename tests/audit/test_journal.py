"""A row of the journal has all entries, is encrypted, and a damaged one is recognized."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import rfc8785

from audit.entries.drafts import Draft, Prepared, prepare
from audit.entries.journal import (
    ENTRY_BYTES,
    PURPOSE,
    DamagedRowError,
    Journaled,
    decode,
    encode_entry,
    read,
    seal,
)
from audit.entries.packing import pack
from audit.events import Event
from core import crypto
from core.actor import Actor
from tests.audit.journals import encode, unchecked
from tests.shared import cases

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ACTOR = Actor("user", "usr_1", ip="203.0.113.7", user_agent="two\nlines")


def make(number: int) -> list[Prepared]:
    drafts = [Draft(event=Event.TOKEN_VERIFY, actor=ACTOR, resource=f"inbox {n}\r\n\u2028") for n in range(number)]
    return prepare(drafts, NOW)


def encode_row(entries: Sequence[Prepared]) -> bytes:
    (body,) = encode(entries)
    return body


def sealed(value: Any, parts: bytes = b"") -> bytes:
    return crypto.seal(PURPOSE, pack(orjson.dumps(value) + b"\n" + parts))


def read_all(body: bytes | memoryview) -> list[Prepared]:
    return [read(entry) for entry in decode(body)]


@cases("number", [1, 2, 100])
def test_a_row_has_all_entries_in_order(number: int) -> None:
    entries = make(number)
    assert read_all(encode_row(entries)) == entries


def test_more_entries_than_one_row_can_have_are_in_several() -> None:
    entries = prepare([Draft(event=Event.TOKEN_VERIFY, actor=ACTOR, scopes=["x" * 400_000])] * 50, NOW)
    bodies = encode(entries)
    assert [entry for body in bodies for entry in read_all(body)] == entries
    assert {len(decode(body)) for body in bodies} == {2}
    assert encode([]) == []


def test_an_entry_that_readers_of_the_log_would_refuse_is_refused() -> None:
    with pytest.raises(ValueError, match="Too long"):
        encode(prepare([Draft(event=Event.TOKEN_VERIFY, actor=ACTOR, scopes=["x" * ENTRY_BYTES])], NOW))


def test_a_row_is_read_from_a_view_of_memory() -> None:
    entries = make(1)
    assert read_all(memoryview(encode_row(entries))) == entries


def test_a_row_can_be_read_only_with_the_secret(settings: Any) -> None:
    body = encode_row(make(1))
    assert b"203.0.113.7" not in body
    assert b"token.verify" not in body
    settings.JWT_SECRET = "another" * 8
    with pytest.raises(DamagedRowError, match="another JWT_SECRET"):
        decode(body)


@cases("version", [0, 1, 3, "2", None, [2]], ids=repr)
def test_an_unknown_version_is_refused(version: Any) -> None:
    with pytest.raises(DamagedRowError, match="Unknown version"):
        decode(sealed([version]))


def test_a_row_cut_short_is_refused() -> None:
    body = encode_row(make(2))
    for end in range(0, len(body), 7):
        with pytest.raises(DamagedRowError):
            decode(body[:end])


def test_a_row_with_a_flipped_bit_is_refused() -> None:
    body = encode_row(make(1))
    for place in range(0, len(body), 11):
        changed = bytes([*body[:place], body[place] ^ 1, *body[place + 1 :]])
        with pytest.raises(DamagedRowError, match="It was changed"):
            decode(changed)


@cases("value", [None, 1, "text", {}, []], ids=repr)
def test_a_value_that_is_not_a_row_is_refused(value: Any) -> None:
    with pytest.raises(DamagedRowError):
        decode(sealed(value))


SHORT_OR_LONG = [[2, [], []], [1, [["a", 2]], []], [1, [], [["a", -1]]], [2, [["a", -1]], []], [-1, [["a", 2]], []]]


@cases("entry", [None, 1, [], {}, "abc", *SHORT_OR_LONG, [None, [], []]], ids=repr)
def test_a_row_whose_parts_do_not_have_the_stated_lengths_is_refused(entry: Any) -> None:
    with pytest.raises(DamagedRowError, match="Not a row"):
        decode(sealed([2, entry], b"x"))


@cases("record", [b"", b"x", b"1", b"[]", b"{}", b'{"personal":null,"withheld":null}'], ids=repr)
def test_a_record_that_is_not_an_entry_is_refused(record: bytes) -> None:
    (entry,) = decode(seal([Journaled(record, [], [])]))
    with pytest.raises(ValueError, match="Not an entry"):
        read(entry)


@cases(
    ("name", "value"),
    [
        ("v", 2),
        ("v", None),
        ("id", 1),
        ("id", "log_1"),
        ("id", f"usr_{'0' * 32}"),
        ("id", f"log_{'0' * 32}\n"),
        ("timestamp", 7),
        ("timestamp", "2026-03-01T00:00:00.000000"),
        ("timestamp", "2026-03-01T00:00:00.000000+01:00"),
        ("timestamp", "2026-02-30T00:00:00.000000Z"),
        ("timestamp", "2026-W48-4T00:00:00Z"),
        ("event", None),
        ("event", "e" * 65),
        ("outcome", "maybe"),
        ("outcome", []),
        ("reason", 7),
        ("action", {}),
        ("requestId", []),
        ("scopes", [1]),
        ("organizationId", 7),
        ("organizationId", "org 1"),
        ("serviceOrganizationIds", [1]),
        ("serviceOrganizationIds", [None]),
        ("serviceOrganizationIds", ["o" * 65]),
        ("userId", {}),
        ("userId", "u" * 65),
        ("userId", "usr\0"),
        ("agentId", "ä"),
        ("consentId", "c" * 100),
        ("actor", {}),
        ("actor", {"kind": "user"}),
        ("actor", {"kind": "robot", "id": None}),
        ("actor", {"kind": "user", "id": 7}),
        ("actor", {"kind": "user", "id": "usr\0"}),
        ("actor", {"kind": "user", "id": "u" * 65}),
    ],
    ids=repr,
)
def test_an_entry_that_the_log_or_its_readers_cannot_take_is_refused(name: str, value: Any) -> None:
    (entry,) = make(1)
    with pytest.raises(ValueError, match="Not an entry"):
        encode([entry._replace(content={**entry.content, name: value})])
    with pytest.raises(ValueError, match="Not an entry"):
        read(unchecked(entry, **{name: value}))


@cases("amount", [{"currency": "EUR"}, {"currency": "EUR", "value": "much"}, 7], ids=repr)
def test_an_amount_that_cannot_be_added_up_is_refused(amount: Any) -> None:
    (entry,) = make(1)
    with pytest.raises(ValueError, match="Not an entry"):
        encode([entry._replace(personal={"amount": amount})])


@cases("value", [1e16, -1e300, 2**53, float("inf"), float("nan"), "\ud800"], ids=repr)
def test_a_value_without_a_canonical_form_is_refused(value: Any) -> None:
    """A row has canonical bytes, which can be parsed and encoded again."""
    (entry,) = make(1)
    with pytest.raises(ValueError, match=r"\w"):
        encode([entry._replace(personal={"call": {"context": {"x": [value]}}})])


def test_ids_of_the_greatest_length_are_read() -> None:
    content, personal, withheld = make(1)[0]
    content.update({"userId": "u" * 64, "actor": {"kind": "user", "id": "u" * 64}})
    (entry,) = read_all(encode_row([Prepared(content, personal, withheld)]))
    assert entry.content == content


def test_the_parts_of_a_row_are_canonical() -> None:
    (entry,) = make(1)
    personal = {**entry.personal, "call": {"ü": 1e-7, "a": [1.0, -0.0]}}
    (found,) = decode(encode_row([entry._replace(personal=personal)]))
    assert found == encode_entry(entry._replace(personal=personal))
    assert dict(found.personal)["call"] == '{"a":[1,0],"ü":1e-7}'.encode()
    assert found.record == rfc8785.dumps({**entry.content, "personal": None, "withheld": None})
