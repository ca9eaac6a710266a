"""The measurement of the portal and the desk, with little data: every page works, and none needs too many queries."""

from typing import Any

import pytest

from benchmarks.grown.measuring import count_queries
from benchmarks.portal import report
from benchmarks.portal.dataset import Dataset
from benchmarks.portal.desk_visits import desk
from benchmarks.portal.sizes import Sizes
from benchmarks.portal.visits import PortalVisitors, log_of_portal, portal

SMALL = Sizes(
    entries=400,
    agents=60,
    policies=60,
    versions=60,
    users=60,
    connections=60,
    approvals=40,
    servers=12,
    scopes=20,
    trials=2,
    organizations=12,
)


@pytest.fixture
def visitors(settings: Any, store: str) -> PortalVisitors:
    settings.THROTTLE_SIMULATE = "1000/minute"
    return PortalVisitors(Dataset(SMALL).fill())


@pytest.mark.django_db(transaction=True)
def test_no_page_needs_more_queries_than_it_may(visitors: PortalVisitors) -> None:
    found = count_queries([*portal(visitors), *log_of_portal(visitors), *desk(visitors)])
    assert {each["name"]: each["queries"] for each in found if each["queries"] > report.MAX_QUERIES} == {}
    assert {report.group_of(each) for each in found} == {report.OTHERS, *report.GROUPS.values()}


def make_run(**worst: Any) -> dict[str, Any]:
    fine = {"kind": "page", "name": "developer/agents", "min_ms": 4.0, "p50_ms": 5.0, "p95_ms": 6.0, "queries": 7}
    visits = [fine, {**fine, "name": "analytics?90d by agent", **worst}]
    return {"stores": {"sqlite": visits, "postgresql": [fine, {**fine, "kind": "admin", "name": "index"}]}}


def test_a_run_that_meets_both_goals() -> None:
    table = "".join(report.goals(make_run()))
    assert (table.count(": met"), table.count("missed")) == (4, 0)
    assert "analytics" not in "".join(report.slow(make_run()))


@pytest.mark.parametrize(("worst", "figure"), [({"p95_ms": 201.0}, "201"), ({"queries": 13}, "13")])
def test_a_missed_goal_names_the_worst(worst: dict[str, Any], figure: str) -> None:
    table = "".join(report.goals(make_run(**worst)))
    assert f"{figure} (`page: analytics?90d by agent`): missed" in table


def test_slow_pages_are_listed_with_their_store() -> None:
    assert "`page: analytics?90d by agent` | SQLite | 4 | 5 | 101 | 7" in "".join(report.slow(make_run(p95_ms=101.0)))
    assert "| the administrator's desk | PostgreSQL | 1 | 5 | 6 | 6 | 7 |" in "".join(report.groups(make_run()))
