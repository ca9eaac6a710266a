"""An entry whose outline is known is read as one that is parsed."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.entries import outlines
from audit.entries.drafts import prepare
from audit.entries.journal import Journaled, encode_entry
from audit.entries.outlines import Outlines
from audit.events import Event, Outcome
from audit.sequencing.postings import CONSENT, ORGANIZATION, USER, term
from core.actor import SYSTEM
from core.chains import Link
from core.ids import new_id
from tests.audit.journals import ACTOR, decision, unchecked
from tests.shared import cases

NOW = datetime(2026, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC)
LATER = datetime(2026, 12, 1, tzinfo=UTC)


def entry(at: datetime = NOW, **fields: Any) -> Journaled:
    actor = ACTOR._replace(request_id=new_id("req"))
    (prepared,) = prepare([decision(**{"actor": actor, **fields})], at)
    return encode_entry(prepared)


names = st.sampled_from(["id", "requestId", "timestamp", "scopes", "a", 'id":"log_', "z"])
texts = st.sampled_from(["log_" + "a" * 32, "req_" + "b" * 32, "2026-11-30T12:00:00.000000Z", "", '","id":"log_'])
values = st.recursive(texts | st.none() | st.integers(0, 9), lambda inner: st.dictionaries(names, inner, max_size=3))
drafts = st.fixed_dictionaries(
    {"metadata": st.dictionaries(names, values, max_size=3)},
    optional={
        "at": st.sampled_from([NOW, LATER]),
        "actor": st.sampled_from([ACTOR, SYSTEM, ACTOR._replace(request_id="req_" + "b" * 32)]),
        "outcome": st.sampled_from(Outcome),
        "event": st.sampled_from([Event.TOKEN_VERIFY, Event.TOKEN_ISSUED, Event.RESERVATION_COMMITTED]),
        "user_id": st.none(),
        "scopes": st.lists(texts, max_size=2),
        "policy_id": st.just("pol_1"),
        "chain": st.just((Link("agt_2", None, None), Link("agt_1", "del_1", "org_1"))),
        "service_organization_ids": st.sampled_from([["org_2"], ["org_2", "org_3"]]),
        "personal": st.just({"amount": {"currency": "EUR", "value": "1.50"}}),
    },
)


@given(st.lists(drafts, min_size=1, max_size=4))
def test_each_entry_is_read_as_one_whose_outline_is_not_known(made: list[dict[str, Any]]) -> None:
    known = Outlines()
    for fields in [*made, *made]:
        found = entry(**fields)
        assert known.read(found) == Outlines().read(found)


@cases("actor", [SYSTEM, ACTOR, ACTOR._replace(request_id="req_" + "b" * 32)])
def test_entries_that_differ_in_their_id_and_time_share_an_outline(actor: Any) -> None:
    known = Outlines()
    first, second = (known.read(entry(at, actor=actor)) for at in (NOW, NOW.replace(day=1)))
    assert first.outline is second.outline
    assert first.id != second.id


@cases("fields", [{"at": LATER}, {"user_id": "usr_2"}, {"policy_id": "pol_1"}, {"metadata": {"tokenId": "tok_2"}}])
def test_others_do_not(fields: dict[str, Any]) -> None:
    known = Outlines()
    assert known.read(entry()).outline is not known.read(entry(**fields)).outline


def test_names_in_the_metadata_are_not_taken_for_members() -> None:
    known = Outlines()
    hidden = {"a": {"b": 1, "requestId": "req_" + "b" * 32}}
    found = [known.read(entry(actor=SYSTEM, metadata=hidden)) for _ in range(2)]
    assert found[0].outline is not found[1].outline
    assert {one.mark for one in found} == {0}


@cases(
    ("name", "value"),
    [
        ("timestamp", "2026-11-31T00:00:00.000000Z"),
        ("timestamp", "2026-11-30 00:00:00.000000Z"),
        ("timestamp", "2026-11-30T00:00:00.00000xZ"),
        ("id", "log_" + "A" * 32),
        ("id", "log_" + "a" * 33),
    ],
)
def test_a_malformed_id_or_time_is_refused(name: str, value: str) -> None:
    known = Outlines()
    known.read(entry())
    (prepared,) = prepare([decision(actor=ACTOR._replace(request_id=new_id("req")))], NOW)
    with pytest.raises(ValueError, match=r"\w"):
        known.read(unchecked(prepared, **{name: value}))


def test_an_amount_that_cannot_be_added_up_is_refused() -> None:
    known = Outlines()
    known.read(entry())
    with pytest.raises(ValueError, match="Not an amount"):
        known.read(entry()._replace(personal=[("amount", b'{"currency":"EUR","value":"much"}')]))


def test_what_an_entry_does_not_have_is_no_term() -> None:
    terms = Outlines().read(entry(user_id=None, consent_id=None)).outline.terms
    assert term(ORGANIZATION, "org_1") in terms
    assert not {term(USER, "None"), term(USER, ""), term(CONSENT, "None")} & {*terms}


def test_long_outlines_are_not_remembered() -> None:
    known = Outlines()
    for number in (20, 100):
        found = entry(scopes=[f"made-up:{'x' * 20}{place}" for place in range(number)])
        assert known.read(found) == known.read(found)
        assert len(known._known) == 1


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlines, "MAX_KNOWN", 3)
    known = Outlines()
    for number in range(10):
        known.read(entry(user_id=f"usr_{number}"))
        assert len(known._known) <= 3
