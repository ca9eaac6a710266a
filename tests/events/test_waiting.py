"""Which waiting requests have news of the log: nothing is missed, nothing is looked at twice."""

from typing import Any

import orjson
import pytest

from audit.events import Event
from audit.sequencing.sequencer import sequence
from events import revocations, waiting
from events.feed import watch_events
from events.revocations import watch_revocations
from tests.audit.journals import decision, write_drafts, write_row

pytestmark = pytest.mark.django_db


def feed(after: int = -1, **filters: Any) -> str:
    """Return what a request of org_1 waits for."""
    return orjson.dumps({"after": after, "organization": "org_1", "types": None, "agents": None, **filters}).decode()


def write(**fields: Any) -> None:
    write_drafts([decision(**{"event": Event.CONSENT_REVOKED, **fields})])


def test_a_request_waits_until_an_event_of_its_organization() -> None:
    watch, asked = watch_events(), feed()
    assert watch({asked}) == {asked}
    write(organization_id="org_2")
    sequence()
    assert watch({asked}) == {asked}
    write(organization_id="org_2", service_organization_ids=["org_1"])
    assert watch({asked}) == {asked}, "it has no number yet"
    sequence()
    assert watch({asked}) == set()


def test_only_the_wanted_types_and_agents_are_news() -> None:
    write()
    sequence()
    wanted = [feed(types=["consent.*"]), feed(agents=["agt_1", "agt_2"]), feed(types=["*"], agents=["agt_1"])]
    others = [feed(types=["token.*"]), feed(agents=["agt_2"]), feed(agents=[]), feed(types=["*"], agents=["agt_2"])]
    assert watch_events()({*wanted, *others}) == {*others}


def test_what_came_between_the_answer_and_the_parking_is_news_and_what_was_answered_is_not() -> None:
    watch = watch_events()
    write()
    write()
    sequence()
    assert watch({feed(0), feed(1)}) == {feed(1)}


def test_one_query_looks_once_at_each_entry_for_all(
    django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, waiting_ones = watch_events(), {feed(types=["agent.*"]), feed(types=["policy.*"]), feed(5)}
    write_row(5)
    sequence()
    with django_assert_num_queries(1):
        assert watch(waiting_ones) == waiting_ones
    write_row(5)
    sequence()
    seen: list[Any] = []
    find = waiting.news_after
    monkeypatch.setattr(waiting, "news_after", lambda index: seen.append(index) or find(index))
    assert watch(waiting_ones) == waiting_ones - {feed(5)}
    assert seen == [4]


def test_it_looks_at_a_limited_number_of_entries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MAX_ENTRIES", 3)
    watch, asked = watch_events(), feed(types=["consent.*"])
    write_row(4)
    write()
    sequence()
    assert watch({asked}) == {asked}
    assert watch({asked}) == set()


def test_after_a_failure_of_the_database_nothing_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, asked = watch_events(), feed()
    write()
    sequence()
    with monkeypatch.context() as broken:
        broken.setattr(waiting, "news_after", _fail)
        with pytest.raises(ConnectionError):
            watch({asked})
    assert watch({asked}) == set()


def _fail(index: int) -> Any:
    raise ConnectionError


def told_once(monkeypatch: pytest.MonkeyPatch, *answers: bool) -> list[tuple[str, int]]:
    """Let the next looks for items find some or none. Return for which service and after which index it is looked."""
    asked, left = [], list(answers)
    monkeypatch.setattr(revocations, "_has_items", lambda *place: asked.append(place) or left.pop(0))
    return asked


def test_revocations_are_news_before_they_are_in_the_log_if_the_service_gets_an_item(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch, asked, other = watch_revocations(), guard("res_1"), guard("res_2")
    write_row(2)
    write(event=Event.AGENT_CREATED)
    assert watch({asked, other}) == {asked, other}
    sequence()
    assert watch({asked, other}) == {asked, other}
    write(event=Event.TOKEN_REVOKED)
    looked = told_once(monkeypatch, False)
    assert watch({asked}) == {asked}
    sequence()
    looked = told_once(monkeypatch, True)
    assert watch({asked, guard("res_1", 3)}) == {guard("res_1", 3)}
    assert looked == [("res_1", 2)]


def test_a_service_is_told_at_once_that_it_is_refused_and_beyond_a_bound_all_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked = told_once(monkeypatch, False, False, False)
    watch, several = watch_revocations(), {guard(f"res_{each}") for each in range(4)}
    write(event=Event.ORGANIZATION_SUSPENDED, organization_id="org_1")
    assert watch({guard("res_1"), guard("res_2", organization="org_2")}) == {guard("res_2", organization="org_2")}
    monkeypatch.setattr(revocations, "MAX_CONFIRMED", 2)
    write(event=Event.AGENT_STOPPED, organization_id="org_3")
    several = {guard(f"res_{each}", organization="org_4") for each in range(3)}
    assert len(watch(several)) == 2
    assert len(looked) == 3
    write(event=Event.EVERYTHING_STOPPED)
    assert watch(several) == set()


def guard(server: str, after: int = -1, organization: str = "org_1") -> str:
    """Return what a request of a service waits for."""
    return orjson.dumps({"after": after, "server": server, "organization": organization}).decode()
