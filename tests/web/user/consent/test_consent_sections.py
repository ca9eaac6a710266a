"""The list of the consent screen: grouped by service, summed up, and collapsed if it is long."""

import re

import pytest
from django.test import Client

from agents.services import update_agent
from core.actor import SYSTEM
from developers.acting import as_developer
from developers.services import verify_organization
from policies.services import create_policy
from resources.catalogue import catalogue
from resources.custom_scopes import ScopeDefinition
from tests.world import ANONYMOUS, allow, ask, make_agent, make_developer, make_resource_server, make_user, sign_in

SCOPES = list(catalogue())


@pytest.fixture
def organization(db):
    developer = make_developer("dev@example.com", "Acme Robotics")
    verify_organization(actor=SYSTEM, organization=developer.organization, is_verified=True, reason="papers seen")
    return developer


@pytest.fixture
def agent(organization):
    return make_agent(organization, allowed_scopes=SCOPES)


def shown(agent, **request) -> str:
    ada = make_user("ada@example.com", "Ada")
    return page(sign_in(ada), ask(agent, **request))


def page(client: Client, consent) -> str:
    return client.get(f"/consent/{consent.id}").content.decode()


def summary(html: str) -> str:
    return re.findall(r'class="consent__sum">.*?<strong>(.*?)</strong>', html, re.DOTALL)[0]


def gravest(html: str) -> str:
    """Return the risk beside the summary."""
    return re.findall(r'class="consent__sum"><span class="risk risk--(\w+)"', html)[0]


def groups(html: str) -> list[tuple[str, bool]]:
    """Return the name of each group that can be collapsed, and whether it is open."""
    found = re.findall(r'<details class="group[^"]*"( open)?>\s*<summary>.*?<bdi>(.*?)</bdi>', html, re.DOTALL)
    return [(name, bool(is_open)) for is_open, name in found]


def test_the_request_is_summed_up_in_one_line(agent):
    html = shown(agent, scopes=["email:read", "email:send", "calendar:write"], optional_scopes=["payments:charge"])
    assert summary(html) == "4 permissions, 1 critical"


def test_a_request_without_critical_scopes_says_so(agent):
    assert summary(shown(agent, scopes=["email:read"])) == "1 permission, nothing critical"


def test_a_second_request_is_summed_up_with_what_stays_allowed(agent):
    ada = make_user("ada@example.com", "Ada")
    allow(ask(agent, scopes=["email:read", "calendar:read", "email:send", "payments:charge"]), ada)
    html = page(sign_in(ada), ask(agent, scopes=["email:read", "calendar:write"]))
    assert summary(html) == "5 permissions, 1 critical, 1 new"
    assert gravest(html) == "critical"
    html = page(sign_in(ada), ask(agent, scopes=["email:read"]))
    assert summary(html) == "4 permissions, 1 critical, nothing new"
    assert gravest(html) == "critical"
    assert html.count("Will be taken away") == 4


def test_what_the_developer_has_withdrawn_is_not_counted(agent):
    ada = make_user("ada@example.com", "Ada")
    allow(ask(agent, scopes=["email:read", "payments:charge"]), ada)
    scopes = ["email:read", "calendar:read"]
    update_agent(actor=SYSTEM, agent=agent, changes={"allowed_scopes": scopes})
    assert summary(page(sign_in(ada), ask(agent, scopes=scopes))) == "2 permissions, nothing critical, 1 new"


def test_a_short_list_is_open_and_grouped_by_service(agent):
    html = shown(agent, scopes=["email:read", "github:repo:read", "email:send"])
    assert groups(html) == []
    assert re.findall(r'class="group__name"><bdi>(.*?)</bdi>', html) == ["Email", "GitHub"]


def test_a_long_list_is_collapsed_but_what_is_critical_is_open(agent):
    scopes = ["payments:charge", *[scope for scope in SCOPES if catalogue()[scope].risk_level != "critical"][:9]]
    found = dict(groups(shown(agent, scopes=scopes)))
    assert found["Payments"]
    assert not found["Email"]


def test_the_whole_catalogue_is_collapsed_and_called_unusual(agent):
    html = shown(agent, scopes=SCOPES)
    assert not any(is_open for _, is_open in groups(html))
    assert "This is an unusually long list." in html
    assert re.findall(r'name="scopes" value="([^"]*)" checked', html) == []
    assert "Merge pull requests" in html.partition("Critical:")[2].partition("</bdi>")[0]


def test_scopes_of_an_organization_are_grouped_under_its_name(organization):
    make_resource_server(
        organization, "https://books.example", ScopeDefinition("books:read", "low", "Read", "See", "x")
    )
    html = shown(make_agent(organization, allowed_scopes=["books:read"]), scopes=["books:read"])
    assert re.findall(r'class="group__name"><bdi class="named">(.*?)</bdi>', html) == ["Acme Robotics"]


def test_an_organization_cannot_put_its_scopes_among_those_of_a_service(db):
    imposter = make_developer("imposter@example.com", "Email")
    scope = ScopeDefinition("zzz:all", "low", "Read your email headers", "See", "sell")
    make_resource_server(imposter, "https://zzz.example", scope)
    html = shown(make_agent(imposter, allowed_scopes=["email:read", "zzz:all"]), scopes=["email:read", "zzz:all"])
    names = re.findall(r'class="group__name"><bdi( class="named")?>(.*?)</bdi>', html)
    assert names == [("", "Email"), (' class="named"', "Email")]


def test_nothing_of_a_long_list_is_ticked_in_advance(agent):
    html = shown(agent, scopes=SCOPES[:9])
    assert re.findall(r'name="scopes" value="([^"]*)" checked', html) == []


def test_sensitive_scopes_say_why(agent):
    html = shown(agent, scopes=["email:read", "payments:charge"])
    assert html.count("permission__why") == 1
    assert "Cannot be undone" in html


def test_what_the_developer_took_away_is_named(agent, organization):
    ada = make_user("ada@example.com", "Ada")
    allow(ask(agent, scopes=["email:read", "calendar:read"]), ada)
    fewer = {"allowed_scopes": ["email:read", "email:send"]}
    agent = update_agent(actor=as_developer(ANONYMOUS, organization), agent=agent, changes=fewer)
    html = page(sign_in(ada), ask(agent, scopes=["email:read", "email:send"]))
    assert "Taken away by the developer" in html
    assert "See your calendar" in html


def test_enter_in_a_field_decides_nothing(agent):
    first = re.search(r"<button[^>]*>", shown(agent, scopes=["email:read"]).partition('id="decide"')[2])[0]
    assert "disabled" in first


def test_the_developers_rules_are_read_out_without_shadow_disabled_and_other_agents_rules(agent, organization):
    def rule(number: int) -> dict:
        return {"type": "rate_limit", "config": {"maxRequests": number, "windowSeconds": 3600, "scope": "per_user"}}

    given = {"actor": as_developer(ANONYMOUS, organization), "organization": organization.organization}
    create_policy(**given, name="Slowly", rules=[rule(20)])
    create_policy(**given, name="Only this", rules=[rule(21)], agent=agent)
    create_policy(**given, name="Other", rules=[rule(22)], agent=make_agent(organization, name="Other"))
    create_policy(**given, name="Off", rules=[rule(23)], enabled=False)
    create_policy(**given, name="Shadow", rules=[rule(24)], mode="shadow")
    html = shown(agent, scopes=["email:read"])
    assert "2 rules of the developer apply too" in html
    assert re.findall(r"At most (\d+) requests", html) == ["20", "21"]
    assert "which are not listed here" not in html


def test_more_rules_than_the_screen_lists_are_not_kept_silent(agent, organization, monkeypatch):
    monkeypatch.setattr("web.user.consent.facts.MAX_POLICIES", 2)
    for number in (20, 21, 22):
        rule = {"type": "rate_limit", "config": {"maxRequests": number, "windowSeconds": 3600, "scope": "per_user"}}
        actor = as_developer(ANONYMOUS, organization)
        create_policy(actor=actor, organization=organization.organization, name="Slowly", rules=[rule])
    html = shown(agent, scopes=["email:read"])
    assert "At least 2 rules of the developer apply too" in html
    assert re.findall(r"At most (\d+) requests", html) == ["20", "21"]
    assert "And more, which are not listed here" in html
