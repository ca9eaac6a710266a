"""The pages of an organization, an agent and a person: what they join, their numbers, and how few queries they need."""

import re
from functools import partial
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext

from administration import joined
from agents.models import Agent
from agents.services import stop_agent
from audit.events import Outcome
from audit.sequencing.sequencer import sequence
from consent.models import Consent
from core import clock
from core.actor import SYSTEM
from developers.models import Organization
from developers.stopping import delete_organization, finish_deletion, stop_organization
from insights.services import count_log
from resources.catalogue import describe_scopes
from resources.models import CustomScope
from tests.administration.test_pages import MAX_QUERIES, form_url
from tests.administration.test_roles import OPERATIONS, SAFETY, SUPPORT, member
from tests.administration.world import World, sign_in
from tests.audit.journals import decision as decided
from tests.audit.journals import write_drafts
from tests.shared import cases
from tests.world import allow, as_owner, ask, make_agent, make_user

NAMES = ["organization", "agent", "person"]


def rows_of(world: World) -> dict[str, Model]:
    return {"organization": world.developer.organization, "agent": world.agent, "person": world.ada}


def figures(html: str) -> dict[str, tuple[int, str]]:
    """Return the numbers of a page with their links, by label."""
    found = re.findall(r'<dt>([^<]+)</dt><dd class="figure"><a href="([^"]+)">(\d+)</a>', html)
    return {label: (int(number), unescape(url)) for label, url, number in found}


def test_the_stop_of_an_organization_by_its_members_and_its_end_are_shown(site: Client, world: World) -> None:
    organization, owner = world.developer.organization, as_owner(world.developer.organization)
    stop_organization(actor=owner, organization=organization, reason="A key leaked.")
    delete_organization(actor=owner, organization=organization)
    page = site.get(form_url(organization)).content.decode()
    for words in ("Stop by its members", "A key leaked.", "Will be deleted", "Proof that the last stop held", "Owner"):
        assert words in page
    assert (
        "The agent&#x27;s organization has stopped all its agents." in site.get(form_url(world.agent)).content.decode()
    )

    Organization.objects.update(deletes_at=clock.now())
    finish_deletion(organization.pk)

    member = site.get(form_url(world.developer)).content.decode()
    assert re.search(r"<dt>Role</dt><dd>.*Owner.*</dd>", member)
    assert re.search(r"<dt>Ended</dt><dd><time", member)
    assert "Ended" in site.get(form_url(organization)).content.decode()


@cases("name", NAMES)
def test_a_page_joins_what_belongs_to_its_row(name: str, site: Client, world: World) -> None:
    linked = {
        "organization": [world.agent, world.developer, world.consent],
        "agent": [world.consent, world.tokens.family, world.developer.organization],
        "person": [world.consent, world.tokens.family],
    }
    html = site.get(form_url(rows_of(world)[name])).content.decode()
    for row in linked[name]:
        assert f'href="{form_url(row)}"' in html, row
    for words in ("Recent log entries", "Approvals", "token.verify"):
        assert words in html


def test_the_newest_rows_come_first_if_their_keys_are_numbers(site: Client, world: World) -> None:
    names = [f"Role {pk}" for pk in (998, 999, 1000, 1001)]
    world.ada.groups.add(*[Group.objects.create(pk=int(name.split()[1]), name=name) for name in names])
    html = site.get(form_url(world.ada)).content.decode()
    assert re.findall(r">(Role \d+)<", html) == names[::-1]


@cases("role", [None, SUPPORT, SAFETY, OPERATIONS])
def test_no_role_needs_many_queries(role: str | None, site: Client, world: World) -> None:
    browser = sign_in(member(role)) if role else site
    sequence()
    browser.get("/admin/")  # which notes when the session was last used
    paths = ["/admin/", *([] if role == OPERATIONS else map(form_url, rows_of(world).values()))]
    for path in paths:
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(path).status_code == 200
        assert len(queries) <= MAX_QUERIES, path


@pytest.mark.postgresql
def test_an_organizations_consents_are_read_by_indexes_of_its_own(site: Client, world: World, store: str) -> None:
    """SQLite would take an index of the states if there were none of both, and read the consents of all others, too."""
    if store != "sqlite":
        pytest.skip("PostgreSQL reads so few rows without an index")
    with CaptureQueriesContext(connection) as queries:
        assert site.get(form_url(world.developer.organization)).status_code == 200
    read = [query["sql"] for query in queries.captured_queries if f'FROM "{Consent._meta.db_table}"' in query["sql"]]
    with connection.cursor() as cursor:
        steps = [cursor.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall() for sql in read]
    assert len(steps) == 1
    assert "INDEX consent_status_of_org_idx (organization_id=? AND status=?)" in str(steps)
    assert "INDEX consent_newest_of_org_idx (organization_id=?)" in str(steps)


@pytest.mark.postgresql
@cases("name", NAMES)
def test_each_number_is_that_of_the_list_behind_it(name: str, site: Client, world: World) -> None:
    allow(ask(world.agent), make_user("bea@example.com"))
    stop_agent(actor=SYSTEM, agent=world.agent, reason="Spam.")
    fields: dict[str, Any] = {"organization_id": world.developer.organization_id, "agent_id": world.agent.id}
    denied = partial(decided, **fields, outcome=Outcome.DENIED)
    asked = [denied(reason="approval_required"), denied(reason="approval_required", metadata={"ruleType": "data_flow"})]
    write_drafts([*asked, *(denied(reason=reason) for reason in ("policy_denied", "policy_denied", "token_expired"))])
    sequence()
    count_log()
    found = figures(site.get(form_url(rows_of(world)[name])).content.decode())
    numbers = {label: number for label, (number, _) in found.items()}
    assert numbers == {
        "organization": {"Live consents": 2, "Allowed in 24 hours": 1, "Denied in 24 hours": 3, "Stopped agents": 1},
        # Its denials are a share, below.
        "agent": {"Connected users": 2, "Live token families": 1, "Allowed in 24 hours": 1},
        "person": {"Live consents": 1},
    }[name] | {"Open approvals": 1}
    for label, (number, url) in found.items():
        assert len(site.get(url).context["cl"].result_list) == number, label


def test_the_page_of_an_agent_says_how_risky_it_is(site: Client, world: World) -> None:
    fields: dict[str, Any] = {"organization_id": world.developer.organization_id, "agent_id": world.agent.id}
    denied = partial(decided, **fields, outcome=Outcome.DENIED)
    write_drafts([denied(reason="approval_required"), *[denied(reason="policy_denied")] * 3])
    sequence()
    count_log()
    assert "High risk" in site.get("/admin/agents/agent/").content.decode()
    html = site.get(form_url(world.agent)).content.decode()
    risk = html[html.index("How risky it is") : html.index("What a stop would end")]
    for words in (
        "High risk",
        describe_scopes(["email:send"])[0].title,
        "Developer not verified",
        ">75%</a>",
        "3 of 4 requests",
        "None to review",
    ):
        assert words in risk, words
    (url,) = re.findall(r'href="([^"]+)">75%</a>', risk)
    assert len(site.get(unescape(url)).context["cl"].result_list) == 3


def test_a_list_reads_the_risk_of_its_agents_at_once(site: Client, world: World) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert "Critical risk" in site.get("/admin/agents/agent/").content.decode()
        return len(found)

    texts = {"risk_level": "critical", "title": "Read", "description": "Read", "cannot": "write"}
    CustomScope.objects.create(id="shop:orders", labels=[], organization=world.developer.organization, **texts)
    Agent.objects.update(allowed_scopes=["shop:orders"])
    site.get("/admin/")  # which notes when the session was last used
    one = queries()
    for name in ("Second", "Third"):
        make_agent(world.developer, name=name)
    Agent.objects.update(allowed_scopes=["shop:orders"])
    assert queries() == one


def test_people_and_consents_lead_to_their_part_of_the_log(site: Client, world: World) -> None:
    acts = f"/admin/audit/entry/?actor={world.administrator.id}"
    assert f'href="{acts}">What this administrator did' in site.get(form_url(world.administrator)).content.decode()
    assert "What this administrator did" not in site.get(form_url(world.ada)).content.decode()
    entries = f"/admin/audit/entry/?q={world.consent.id}"
    assert f'href="{entries}">Log entries' in site.get(form_url(world.consent)).content.decode()
    assert site.get(entries).context["cl"].result_list


def test_a_section_says_that_there_are_more_rows(site: Client, world: World) -> None:
    def number() -> str:
        html = site.get(form_url(world.agent)).content.decode()
        return str(re.findall(r'">Consents(?: <span class="admin__number">([^<]+)</span>)?</h2>', html)[0])

    assert number() == ""
    for one in range(joined.SHOWN):
        allow(ask(world.agent), make_user(f"user{one}@example.com"))
    assert number() == f"{joined.SHOWN}+"


def test_a_number_is_at_most_what_lists_count() -> None:
    assert joined.Figure("", "", joined.MAX_COUNT + 1, "").words == "10,000+"
