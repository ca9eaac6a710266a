"""Searches and lists of big tables: each is one filter that an index answers, and no list counts all its rows."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import SessionToken, User
from administration import actions as admin_actions
from administration import base as administration
from administration import lists as admin_lists
from agents.models import Agent
from approvals.models import Approval
from audit.events import Event
from audit.models import Entry
from consent.models import Consent
from core import clock
from core.ids import lowest_id, new_id, new_unguessable_id
from core.models import TaskRun
from developers.models import Developer, Organization
from policies.models import Policy
from resources.models import CustomScope, ResourceServer
from tests.administration.test_pages import MODELS, list_url, name_of
from tests.administration.world import World
from tests.shared import cases
from tokens.models import Delegation, SigningKey, TokenFamily

NOTHING_SEARCHED = "Nothing was searched. Enter a whole "

TEXTS: dict[str, Any] = {
    "its own key": lambda world, row: str(row.pk),
    "organization": lambda world, row: world.developer.organization_id,
    "developer": lambda world, row: world.developer.id,
    "member": lambda world, row: world.developer.user_id,
    "member's email": lambda world, row: "Dev@Example.com",
    "user": lambda world, row: world.ada.id,
    "email": lambda world, row: " ADA@example.com ",
    "agent": lambda world, row: world.agent.id,
    "client": lambda world, row: world.agent.client_id,
    "consent": lambda world, row: world.consent.id,
    "family": lambda world, row: world.tokens.family.id,
    "token": lambda world, row: row.access_tokens.earliest("pk").id,
    "refresh token": lambda world, row: row.refresh_tokens.earliest("pk").id,
    "code": lambda world, row: row.code_id,
    "audience": lambda world, row: "https://books.example",
    "server": lambda world, row: ResourceServer.objects.get().id,
    "name": lambda world, row: row.name.upper(),
}
FINDS = [
    (User, "its own key", "email"),
    (SessionToken, "its own key", "user", "email"),
    (EmailAddress, "user", "email"),
    (Organization, "its own key", "developer", "member", "member's email", "name"),
    (Developer, "its own key", "organization", "member", "member's email"),
    (Agent, "its own key", "organization", "client", "name"),
    (Policy, "its own key", "organization"),
    (ResourceServer, "its own key", "organization", "audience"),
    (CustomScope, "its own key", "organization"),
    (Consent, "its own key", "organization", "user", "email", "agent", "client"),
    (Approval, "its own key", "consent", "user", "email", "agent"),
    (TokenFamily, "its own key", "consent", "user", "email", "agent", "client", "token", "refresh token", "code"),
    (Delegation, "its own key", "consent", "user", "email", "agent", "client"),
    (SigningKey, "its own key"),
    (Entry, "its own key", "organization", "user", "agent", "consent"),
    (TaskRun, "its own key"),
]
CASES = [(model, text) for model, *texts in FINDS for text in texts]


def found(answer: Any) -> list[Any]:
    assert answer.status_code == 200
    return list(answer.context["cl"].result_list)


def text_of(answer: Any) -> str:
    return " ".join(unescape(answer.content.decode()).split())


def make_agents(world: World, number: int) -> None:
    fields = {"organization": world.developer.organization, "client_type": "public", "redirect_uris": "x"}
    Agent.objects.bulk_create(
        Agent(name=f"Agent {one}", authorization_grant_type="authorization-code", **fields) for one in range(number)
    )


def test_every_list_can_be_searched() -> None:
    assert {model for model, *_ in FINDS} == set(MODELS)


@pytest.mark.postgresql
@cases(("model", "kind"), CASES, ids=str)
def test_a_search_is_one_equality(model: type[Model], kind: str, site: Client, world: World) -> None:
    row = model._default_manager.order_by("pk")[0]
    text = TEXTS[kind](world, row)
    answer = site.get(list_url(model), {"q": text})
    assert found(answer)
    assert NOTHING_SEARCHED not in text_of(answer)
    if model is Entry:  # found by the search of the log, not by a query
        return
    sql = str(answer.context["cl"].queryset.query)
    assert " OR " not in sql
    assert kind == "name" or not re.search(r"UPPER|LIKE", sql)


@cases("model", [model for model in MODELS if model is not SigningKey], ids=name_of)
@cases("text", ["zzz_0123", "a b"])
def test_a_search_that_finds_nothing_says_so_or_explains_itself(
    model: type[Model], text: str, site: Client, world: World
) -> None:
    answer = site.get(list_url(model), {"q": text})
    assert found(answer) == []
    model_admin: Any = admin.site._registry[model]
    is_explained = f"Nothing was searched. {model_admin.search_help_text}" in text_of(answer)
    can_be_part = bool(model_admin.parts) and text == "a b"
    assert is_explained is (admin_lists.TEXT not in model_admin.searches and not can_be_part)
    assert is_explained is answer.context["cl"].queryset.query.is_empty()


@pytest.mark.parametrize(("model", "text"), [(Agent, "artMa"), (Organization, "CM"), (User, "da@exam"), (User, "da")])
def test_a_part_of_a_name_is_found_among_the_newest_rows(
    model: Any, text: str, site: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {Agent: world.agent, Organization: world.developer.organization, User: world.ada}[model]
    is_too_short = len(text) < administration.SHORTEST_PART
    assert (row in found(site.get(list_url(model), {"q": text}))) is not is_too_short
    newer = model.objects.filter(pk__gt=row.pk).count()
    monkeypatch.setattr(administration, "NEWEST", newer)
    assert row not in found(site.get(list_url(model), {"q": text}))


def test_a_whole_name_comes_before_parts_of_others(site: Client, world: World) -> None:
    make_agents(world, 20)
    assert [row.name for row in found(site.get(list_url(Agent), {"q": "agent 1"}))] == ["Agent 1"]
    assert len(found(site.get(list_url(Agent), {"q": "gent 1"}))) == 11


def test_the_list_says_what_can_be_searched_for(site: Client, world: World) -> None:
    agents = text_of(site.get(list_url(Agent)))
    assert "Enter a whole ID (agt_…, agc_…, org_…, sec_…) or URL or name, or part of a name." in agents
    assert "Enter a whole ID (usr_…) or email address." in text_of(site.get(list_url(EmailAddress)))
    assert "Enter a whole ID (org_…) or scope (tickets:read)." in text_of(site.get(list_url(CustomScope)))


def test_spaces_around_a_search_are_ignored_and_an_empty_one_lists_all(site: Client, world: World) -> None:
    assert found(site.get(list_url(Agent), {"q": f"  {world.agent.id}\t"})) == [world.agent]
    assert found(site.get(list_url(Agent), {"q": "   "})) == [world.agent]


@pytest.mark.postgresql
def test_no_list_counts_more_than_the_maximum(site: Client, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    make_agents(world, 119)
    url = list_url(Agent)
    assert "120 agents · Page 1 of 3" in text_of(site.get(url))
    monkeypatch.setattr(admin_lists, "MAX_COUNT", 100)
    with CaptureQueriesContext(connection) as queries:
        answer = site.get(url, {"p": "2"})
    (count,) = [one["sql"] for one in queries.captured_queries if "COUNT(" in one["sql"]]
    assert "100+ agents · Page 2 of 2" in text_of(answer)
    assert [len(found(site.get(url, {"p": page}))) for page in ("1", "2")] == [50, 50]
    assert site.get(url, {"p": "3"}).status_code == 400
    assert "LIMIT 101" in count
    assert "ORDER BY" not in count


def test_a_later_page_joins_only_its_own_rows(site: Client, world: World) -> None:
    make_agents(world, 119)
    with CaptureQueriesContext(connection) as queries:
        listed = found(site.get(list_url(Agent), {"p": "2"}))
    assert listed == list(Agent.objects.all()[50:100])
    skipping = [one["sql"] for one in queries.captured_queries if "OFFSET" in one["sql"]]
    assert len(skipping) == 1
    assert "JOIN" not in skipping[0]


@pytest.mark.postgresql
@cases("model", [*MODELS, Group], ids=name_of)
def test_a_list_reads_no_whole_table(model: type[Model], site: Client, world: World) -> None:
    """Neither distinct values for a filter, nor the first and last date, nor facets, nor all rows to count."""
    with CaptureQueriesContext(connection) as queries:
        assert site.get(list_url(model), {"_facets": "True"}).status_code == 200
    sent = [one["sql"] for one in queries.captured_queries if f'"{model._meta.db_table}"' in one["sql"]]
    assert not [sql for sql in sent if re.search(r"DISTINCT|(MIN|MAX|SUM)\(", sql)]
    counts = [sql for sql in sent if "COUNT(" in sql]
    assert len(counts) == (0 if model is Entry else 1)
    assert all("LIMIT" in count for count in counts) or model is Group


@cases("model", MODELS, ids=name_of)
def test_a_list_cannot_be_sorted_by_a_column_without_an_index(model: type[Model], site: Client, world: World) -> None:
    assert "sortable" not in site.get(list_url(model)).content.decode()
    assert site.get(list_url(model), {"o": "-1"}).status_code == 400


def test_the_log_offers_all_events_whether_they_occurred_or_not(site: Client, world: World) -> None:
    page = site.get(list_url(Entry))
    (spec,) = [one for one in page.context["cl"].filter_specs if one.title == "event"]
    offered = [choice["display"] for choice in spec.choices(page.context["cl"])]
    assert offered == ["All", *Event]
    events = {entry.event for entry in found(site.get(list_url(Entry), {"event__exact": "agent.created"}))}
    assert events == {"agent.created"}


@cases(("days", "is_listed"), [("1", False), ("7", True), ("30", True)])
def test_lists_filter_by_age(days: str, is_listed: bool, site: Client, world: World) -> None:
    old = lowest_id("agt", clock.now() - timedelta(days=2)) + "0" * 20
    Agent.objects.create(pk=old, name="Old", client_type="public", authorization_grant_type="authorization-code")
    listed = [row.pk for row in found(site.get(list_url(Agent), {"days": days}))]
    assert listed == ([world.agent.pk, old] if is_listed else [world.agent.pk])


@cases("days", ["", "2", "x", "-1", "9" * 30])
def test_an_age_that_is_not_offered_is_refused(days: str, site: Client, world: World) -> None:
    assert site.get(list_url(Agent), {"days": days}).status_code == 400


@cases("make", [new_id, new_unguessable_id])
def test_the_lowest_id_of_a_moment_lies_between_earlier_and_later_ones(make: Any) -> None:
    now = clock.now()
    made = make("agt")
    assert lowest_id("agt", now - timedelta(seconds=1)) < made < lowest_id("agt", now + timedelta(seconds=30))


def test_an_action_takes_a_limited_number_of_rows(site: Client, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    make_agents(world, 60)
    monkeypatch.setattr(admin_actions, "MAX_ROWS", 60)
    sent = {"action": "stop", "_selected_action": world.agent.pk, "select_across": "1", "index": "0"}
    sent |= {"confirmed": "yes", "reason": "All of them."}
    answer = site.post(list_url(Agent), sent, follow=True)
    assert "Select at most 60 rows at a time." in text_of(answer)
    assert not Agent.objects.exclude(stopped_at=None).exists()
    site.post(list_url(Agent), {**sent, "select_across": "0"})
    assert Agent.objects.exclude(stopped_at=None).get() == world.agent


@pytest.mark.postgresql
@pytest.mark.parametrize("model", [Agent, Organization], ids=name_of)
def test_a_name_is_found_by_an_index(model: Any, world: World, store: str) -> None:
    if store != "postgresql":
        pytest.skip("about PostgreSQL")
    # Of a few rows, PostgreSQL may read any index from end to end.
    make_agents(world, 60)
    Organization.objects.bulk_create(Organization(name=f"Organization {number}") for number in range(60))
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {model._meta.db_table}")
        cursor.execute("SET LOCAL enable_seqscan = off")
        plan = model.objects.filter(name__iexact="smartmail").explain()
    assert "_name_idx" in plan
