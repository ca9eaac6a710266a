"""A row of the journal has all entries, is encrypted, and a damaged one is recognized."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from audit.drafts import Draft, Prepared, prepare
from audit.events import Event
from audit.journal import PURPOSE, DamagedRowError, decode, encode
from audit.packing import pack
from core import crypto
from core.actor import Actor

ACTOR = Actor("user", "usr_1", ip="203.0.113.7", user_agent="two\nlines")


def make(number: int) -> list[Prepared]:
    drafts = [Draft(event=Event.TOKEN_VERIFY, actor=ACTOR, resource=f"inbox {n}\r\n\u2028") for n in range(number)]
    return prepare(drafts, datetime(2026, 3, 1, tzinfo=UTC))


def sealed(value: Any) -> bytes:
    return crypto.seal(PURPOSE, pack(orjson.dumps(value)))


@pytest.mark.parametrize("number", [0, 1, 2, 100])
def test_a_row_has_all_entries_in_order(number: int) -> None:
    entries = make(number)
    assert decode(encode(entries)) == entries


def test_a_row_is_read_from_a_view_of_memory() -> None:
    entries = make(1)
    assert decode(memoryview(encode(entries))) == entries


def test_a_row_can_be_read_only_with_the_secret(settings: Any) -> None:
    body = encode(make(1))
    assert b"203.0.113.7" not in body
    assert b"token.verify" not in body
    settings.JWT_SECRET = "another" * 8
    with pytest.raises(DamagedRowError, match="another JWT_SECRET"):
        decode(body)


@pytest.mark.parametrize("version", [0, 2, "1", None, [1]], ids=repr)
def test_an_unknown_version_is_refused(version: Any) -> None:
    with pytest.raises(DamagedRowError, match="Unknown version"):
        decode(sealed([version]))


def test_a_row_cut_short_is_refused() -> None:
    body = encode(make(2))
    for end in range(0, len(body), 7):
        with pytest.raises(DamagedRowError):
            decode(body[:end])


def test_a_row_with_a_flipped_bit_is_refused() -> None:
    body = encode(make(1))
    for place in range(0, len(body), 11):
        changed = bytes([*body[:place], body[place] ^ 1, *body[place + 1 :]])
        with pytest.raises(DamagedRowError, match="It was changed"):
            decode(changed)


@pytest.mark.parametrize("value", [None, 1, "text", {}, []], ids=repr)
def test_a_value_that_is_no_row_is_refused(value: Any) -> None:
    with pytest.raises(DamagedRowError):
        decode(sealed(value))


@pytest.mark.parametrize("entry", [None, 1, [], {}, [{}, {}, {}], [{}, {}], ["a", "b", "c"]], ids=repr)
def test_a_value_that_is_no_entry_is_refused(entry: Any) -> None:
    with pytest.raises(DamagedRowError, match="Not an entry"):
        decode(sealed([1, entry]))


@pytest.mark.parametrize(
    ("name", "value"),
    [("id", 1), ("event", None), ("organizationId", 7), ("serviceOrganizationIds", [1]), ("userId", {})],
)
def test_a_member_of_the_wrong_type_is_refused(name: str, value: Any) -> None:
    content, personal, withheld = make(1)[0]
    with pytest.raises(DamagedRowError, match="Not an entry"):
        decode(sealed([1, [{**content, name: value}, personal, withheld]]))
