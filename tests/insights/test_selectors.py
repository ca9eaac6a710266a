"""Reads of the roll-ups give what the raw log has in the same time, of one tenant only."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from audit.readers.reading import AuditEntry
from audit.sequencing.sequencer import sequence
from insights.models import Edition, Kind
from insights.selectors import Coverage, decisions_per_hour, find_coverage, series, totals
from insights.services import count_log
from insights.windows import DAY, HOUR, Window, floor_day, floor_hour
from tests.audit.journals import write_row
from tests.insights.logs import NOW, all_entries, log_entries
from tests.shared import cases, rows_of_module

pytestmark = pytest.mark.django_db
END = floor_hour(NOW) + HOUR
# Whole days, hours before and after them, hours of one day, and times that are not over.
WINDOWS = [
    (END - DAY, END),
    (END - 3 * DAY, END),
    (floor_day(END) - 2 * DAY, END),
    (END - 5 * HOUR, END - 2 * HOUR),
    (floor_day(END) - 2 * DAY, floor_day(END)),
    (floor_day(END), END),
    (END - 30 * HOUR, floor_day(END)),
    (END, END + DAY),
]


LOGGED: list[AuditEntry] = []


@pytest.fixture(scope="module", autouse=True)
def _log(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with rows_of_module(django_db_blocker):
        log_entries(300)
        count_log()
        LOGGED[:] = all_entries()
        yield


def decided(since: datetime, until: datetime, organization: str, agent: str | None = None) -> dict[str, int]:
    """Return the decisions in the raw log by outcome."""
    found: Counter[str] = Counter()
    for entry in LOGGED:
        is_wanted = organization in entry.organization_ids and agent in (None, entry.agent_id)
        if entry.event == "token.verify" and since <= entry.timestamp < until and is_wanted:
            found[entry.content["outcome"]] += 1
    return dict(found)


@pytest.mark.postgresql
@cases(("since", "until"), WINDOWS)
@cases("agent", [None, "agt_1"])
def test_totals_add_hours_and_days_up(
    since: datetime, until: datetime, agent: str | None, django_assert_num_queries: Any
) -> None:
    window = Window(since, until)
    with django_assert_num_queries(1):
        found = totals("org_1", [Kind.DECISION, Kind.SCOPE], window, agent_id=agent)
    assert found[Kind.DECISION] == decided(since, until, "org_1", agent)
    assert bool(found[Kind.SCOPE]) == bool(found[Kind.DECISION])


@pytest.mark.postgresql
@cases(("since", "until"), WINDOWS)
@cases(("kind", "others"), [(Kind.DENIAL, []), (Kind.RULE, [Kind.DECISION, Kind.CONSENT]), (Kind.SCOPE, [])])
def test_the_most_frequent_are_the_highest_totals(
    kind: Kind, others: list[Kind], since: datetime, until: datetime, django_assert_num_queries: Any
) -> None:
    window, kinds = Window(since, until), [kind, *others]
    counts = totals("org_1", kinds, window)
    assert bool(counts[kind]) == (since < END)
    highest = sorted(counts[kind], key=lambda value: (-counts[kind][value], value))
    for limit in (1, 4, len(highest) + 1):
        with django_assert_num_queries(1):
            found = totals("org_1", kinds, window, most={kind: limit, Kind.DECLINED: 1})
        assert found == {**counts, kind: {value: counts[kind][value] for value in highest[:limit]}}


@pytest.mark.postgresql
@cases("step", [HOUR, 6 * HOUR, DAY, 3 * DAY])
def test_a_series_has_a_number_for_each_step(step: timedelta, django_assert_num_queries: Any) -> None:
    window = Window(floor_day(END) - 2 * DAY, floor_day(END) + DAY, step)
    with django_assert_num_queries(1):
        found = series("org_2", [Kind.DECISION], window)[Kind.DECISION]
    assert set(found) == {"allowed", "denied"}
    for place, start in enumerate(window.starts()):
        expected = decided(start, start + step, "org_2")
        assert {outcome: numbers[place] for outcome, numbers in found.items() if numbers[place]} == expected


def test_the_hours_of_many_agents_are_one_query(django_assert_num_queries: Any) -> None:
    agents = [f"agt_{number}" for number in range(50)]
    with django_assert_num_queries(1):
        found = decisions_per_hour("org_1", agents, NOW)
    assert set(found) == set(agents)
    assert found["agt_40"] == [0] * 24
    for place, number in enumerate(found["agt_1"]):
        start = END - (24 - place) * HOUR
        assert number == sum(decided(start, start + HOUR, "org_1", "agt_1").values())
    assert sum(found["agt_1"]) > 10


def test_another_tenant_sees_nothing() -> None:
    window = Window(END - 3 * DAY, END)
    assert totals("org_9", list(Kind), window) == {kind: {} for kind in Kind}
    assert series("org_9", list(Kind), window) == {kind: {} for kind in Kind}
    assert sum(decisions_per_hour("org_9", ["agt_1"], NOW)["agt_1"]) == 0


def test_a_service_sees_the_decisions_it_asked_for_but_not_others_policies_or_consents() -> None:
    found = totals("org_2", [Kind.RULE, Kind.CONSENT, Kind.ASKED, Kind.DECLINED], Window(END - 4 * DAY, END))
    assert found[Kind.RULE]["policy_denied - time_window"] > 0  # of org_1
    assert found[Kind.RULE]["policy_denied pol_0 time_window"] > 0
    assert found[Kind.CONSENT] == found[Kind.ASKED] == found[Kind.DECLINED] == {}


def test_coverage_says_what_is_not_counted_yet(django_assert_num_queries: Any) -> None:
    assert find_coverage().waiting_since is None
    last = find_coverage().last_at
    write_row(3, at=NOW + HOUR)
    write_row(1, at=NOW + 2 * HOUR)
    sequence()
    with django_assert_num_queries(1):
        assert find_coverage() == Coverage(last, NOW + HOUR)
    count_log(limit=3)
    assert find_coverage() == Coverage(NOW + HOUR, NOW + 2 * HOUR)
    count_log()
    assert find_coverage() == Coverage(NOW + 2 * HOUR, None)


def test_all_entries_wait_before_the_first_count() -> None:
    Edition.objects.all().delete()
    assert find_coverage() == Coverage(None, all_entries()[0].timestamp)
