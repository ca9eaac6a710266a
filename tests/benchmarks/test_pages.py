"""Every page, endpoint and write, with little of the data that is measured: each works, and asks few queries.

The tests of each page run on SQLite, so `./dev test` makes these visits on PostgreSQL.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
from django.contrib import admin

from audit.models import Entry
from audit.sequencing.log import Log, leaf_of, newest
from benchmarks.pages import report
from benchmarks.pages.dataset import Dataset
from benchmarks.pages.measuring import count_queries, measure
from benchmarks.pages.sizes import Sizes
from benchmarks.pages.visits import Visitors, visits
from benchmarks.pages.writes import writes
from consent.models import Consent
from consent.usage import usage_of
from core import clock
from tests.audit.test_evidence import naive_root
from tests.shared import rows_of_module

SMALL = Sizes(entries=400, agents=60, policies=60, users=60, approvals=60, servers=12, scopes=20, organizations=12)


on_postgresql = pytest.mark.postgresql(only=True)


@pytest.fixture(scope="module")
def filled(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, str]]:
    with rows_of_module(django_db_blocker):
        yield Dataset(SMALL).fill()


@pytest.fixture
def credentials(filled: dict[str, str], db: None) -> dict[str, str]:
    return filled


@on_postgresql
def test_no_visit_needs_more_queries_than_it_may(credentials: dict[str, str]) -> None:
    visitors = Visitors(credentials)

    found = count_queries(chain(visits(visitors), writes(visitors)))

    assert {each["name"]: each["queries"] for each in found if each["queries"] > report.may_ask(each)} == {}
    visited = {(each["kind"], each["name"]) for each in found}
    assert {("admin", model._meta.model_name) for model in admin.site._registry} <= visited
    assert {
        ("page", "connections"),
        ("page", "developer/logs"),
        ("API", "policies?limit"),
        ("write", "verify"),
    } <= visited


@on_postgresql
def test_the_data_set_looks_as_if_the_services_had_made_it(credentials: dict[str, str]) -> None:
    assert Entry.objects.filter(organizations__contains=credentials["organization"]).count() >= SMALL.entries
    used = usage_of(list(Consent.objects.all()), clock.now()).values()
    assert sum(one.uses.last_at is not None for one in used) > SMALL.agents / 2
    assert naive_root([leaf_of(entry) for entry in Entry.objects.order_by("leaf_index")]) == Log(*newest()).root()


@on_postgresql
def test_an_error_is_not_measured(credentials: dict[str, str]) -> None:
    visitors = Visitors({**credentials, "api_key": "ag_wrong"})
    with pytest.raises(RuntimeError, match="API agents: 401"):
        measure((visit for visit in visits(visitors) if visit.name == "agents"), times=1)


def make_run(**worst: Any) -> dict[str, Any]:
    fine = {"kind": "page", "name": "developer/agents", "p50_ms": 5.0, "p95_ms": 6.0, "queries": 7}
    found = [fine, {**fine, "name": "developer/analytics?period=90d", **worst}]
    stores = {"sqlite": found, "postgresql": [fine, {**fine, "kind": "write", "name": "verify"}]}
    return {"stores": {name: report.summarize(visits) for name, visits in stores.items()}}


def test_a_run_that_meets_both_goals() -> None:
    table = "".join(report.goals(make_run()))
    assert (table.count(": met"), table.count("missed")) == (4, 0)


@pytest.mark.parametrize(("worst", "figure"), [({"p95_ms": 201.0}, "201"), ({"queries": 14}, "14")])
def test_a_missed_goal_names_the_worst(worst: dict[str, Any], figure: str) -> None:
    table = "".join(report.goals(make_run(**worst)))
    assert f"{figure} (`page: developer/analytics?period=90d`): missed" in table
    assert "developer/analytics?period=90d` | SQLite | 5 |" in "".join(report.slowest(make_run(**worst)))
