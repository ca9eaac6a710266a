"""A row of the journal has all records, and a damaged one is recognized."""

from datetime import UTC, datetime

import pytest

from audit.drafts import Draft
from audit.events import Event
from audit.journal import HEAD, DamagedRowError, decode, encode
from core.actor import Actor

ACTOR = Actor("user", "usr_1", ip="203.0.113.7", user_agent="two\nlines")


def make(number: int) -> list[Record]:
    drafts = [Draft(event=Event.TOKEN_VERIFY, actor=ACTOR, resource=f"inbox {n}\r\n\u2028") for n in range(number)]
    return make_records(drafts, datetime(2026, 3, 1, tzinfo=UTC))


@pytest.mark.parametrize("number", [0, 1, 2, 100])
def test_a_row_has_all_records_in_order(number: int) -> None:
    records = make(number)
    assert decode(encode(records)) == records


def test_a_row_says_its_version_first() -> None:
    assert encode(make(1)).split(b"\n")[0] == b'{"v":1}'


def test_a_row_is_read_from_a_view_of_memory() -> None:
    records = make(1)
    assert decode(memoryview(encode(records))) == records


@pytest.mark.parametrize("body", [b"", b"\n", b'{"v":2}', b"{}", b"\xff\x00"], ids=repr)
def test_an_unknown_version_is_refused(body: bytes) -> None:
    with pytest.raises(DamagedRowError, match="Unknown version"):
        decode(body)


def test_a_truncated_row_is_refused() -> None:
    body = encode(make(2))
    for end in range(len(HEAD), len(body), 7):
        if end != len(HEAD):
            with pytest.raises(DamagedRowError):
                decode(body[:end])


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"203.0.113.7", b"203.0.113.8"), (b'"id":"log_', b'"ix":"log_'), (b'{"action"', b'["action"'), (b"\n", b"\nzz")],
    ids=["personal data", "no id", "no JSON", "no salt"],
)
def test_a_changed_record_is_refused(before: bytes, after: bytes) -> None:
    with pytest.raises(DamagedRowError):
        decode(encode(make(1)).replace(before, after, 1))


@pytest.mark.parametrize("line", [b"[]", b'"text"', b"1", b"null", b"{}", b""], ids=repr)
def test_a_body_that_is_no_entry_is_refused(line: bytes) -> None:
    salt, _, personal = encode(make(1)).split(b"\n")[1:]
    with pytest.raises(DamagedRowError, match="Not a record"):
        decode(b"\n".join((HEAD, salt, line, personal)))
