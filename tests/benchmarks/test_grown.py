"""The measurement of grown data, with little of it: every page works, and none needs more queries than it may."""

from itertools import chain
from typing import Any

import pytest
from django.contrib import admin

from audit.models import Entry
from audit.selectors import describe_for_organization, entries_for_organization
from audit.sequencing.log import Log, leaf_of, newest
from benchmarks.grown import report
from benchmarks.grown.dataset import Dataset
from benchmarks.grown.log_visits import log_pages
from benchmarks.grown.measuring import count_queries, measure
from benchmarks.grown.report import may_ask
from benchmarks.grown.sizes import Sizes
from benchmarks.grown.sweeps import kinds
from benchmarks.grown.sweeps import measure as measure_sweeps
from benchmarks.grown.visits import Visitors, administration, api, oauth, pages
from benchmarks.grown.writes import Writes
from consent.models import Consent
from consent.usage import last_uses_of
from tests.audit.test_evidence import naive_root

SMALL = Sizes(
    entries=600,
    tokens=300,
    consents=240,
    agents=300,
    policies=600,
    users=80,
    organizations=20,
    servers=10,
    scopes=120,
    connections=60,
    approvals=800,
    reservations=40,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def credentials(store: str) -> dict[str, str]:
    if store != "postgresql":
        pytest.skip("the data set is made by PostgreSQL")
    return Dataset(SMALL).fill()


def test_the_data_set_looks_as_if_the_services_had_made_it(credentials: dict[str, str]) -> None:
    organization = credentials["organization"]
    assert Entry.objects.exclude(sealed=None).count() >= SMALL.entries
    assert Entry.objects.filter(organizations__contains=organization).count() > SMALL.denials
    listed, _ = entries_for_organization(organization).page("", 50)
    described = describe_for_organization(listed, organization)
    assert [entry["id"] for entry in described] == [entry.id for entry in listed]
    assert {entry["agentId"] for entry in described} == {entry.agent_id for entry in listed}
    first = Consent.objects.order_by("id")[0]
    used = last_uses_of([first])[first.id]
    assert used < Entry.objects.filter(consent_id=first.id)[0].timestamp
    assert naive_root([leaf_of(entry) for entry in Entry.objects.order_by("leaf_index")]) == Log(*newest()).root()


def test_no_page_or_endpoint_needs_more_queries_than_it_may(credentials: dict[str, str]) -> None:
    visitors = Visitors(credentials)
    reads = chain(pages(visitors), api(visitors), log_pages(visitors), oauth(visitors), administration(visitors))
    found = count_queries(chain(reads, Writes(visitors).visits()))

    assert len(found) > 300
    assert {each["name"]: each["queries"] for each in found if each["queries"] > may_ask(each)} == {}
    visited = {(each["kind"], each["name"]) for each in found}
    assert {("admin", model._meta.model_name) for model in admin.site._registry} <= visited
    assert {("page", "connections"), ("page", "developer/logs"), ("API", "policies?limit=200")} <= visited


def test_an_error_is_not_measured(credentials: dict[str, str]) -> None:
    visitors = Visitors({**credentials, "api_key": "ag_wrong"})
    with pytest.raises(RuntimeError, match="API agents: 401"):
        measure((visit for visit in api(visitors) if visit.name == "agents"), times=1)


def test_every_sweep_clears_all_rows_that_were_made_for_it(credentials: dict[str, str]) -> None:
    found = measure_sweeps(20)
    assert {each["name"]: each["rows"] for each in found} == {name: 20 for name, _, _ in kinds()}


def make_run(**worst: Any) -> dict[str, Any]:
    fine = {"kind": "page", "name": "scopes", "p50_ms": 5.0, "p95_ms": 6.0, "queries": 0, "exempt": ""}
    exempt = {**fine, "name": "slow", "p95_ms": 900.0, "exempt": "a slow one"}
    sign_ins = {"at_once": 64, "signed_in": 60, "refused": 4, "seconds": 9.5}
    sign_ins |= {"before_mb": 90, "highest_mb": 320, "after_mb": worst.pop("after_mb", 110)}
    sweeps = [{"name": "codes", "rows": 20_000, "per_second": worst.pop("per_second", 5000)}]
    found = {"sweeps": sweeps, "sign_ins": sign_ins, "visiting_mb": worst.pop("visiting_mb", 200)}
    return found | {"visits": [fine, exempt, {**fine, "name": "account", **worst}]}


def test_a_run_that_meets_all_goals() -> None:
    table = "".join(report.goals(make_run()))
    assert table.count("| met |") == 4
    assert "900" not in table


@pytest.mark.parametrize(
    ("worst", "figure"),
    [
        ({"p95_ms": 101.0}, "101 (page: `account`)"),
        ({"queries": 13}, "13 (page: `account`)"),
        ({"per_second": 1999}, "1,999 (codes)"),
        ({"after_mb": 251}, "251 MB"),
        ({"visiting_mb": 251}, "251 MB"),
    ],
)
def test_a_missed_goal_names_the_worst(worst: dict[str, Any], figure: str) -> None:
    (line,) = [line for line in "".join(report.goals(make_run(**worst))).splitlines() if "missed" in line]
    assert figure in line


def test_what_has_no_goal_is_shown_apart() -> None:
    table = "".join(report.visits(make_run()))
    assert "| page | 2 | 5 | 6 | 6 | 0 |" in table
    assert "| without a goal: a slow one | 1 | 5 | 900 | 900 | 0 |" in table
    for each in report.TABLES:
        assert "".join(each(make_run()))
