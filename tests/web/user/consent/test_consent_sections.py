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


def lines(html: str) -> list[list[str]]:
    """Return the items of the lines below the heading, as the page shows them first."""
    found = re.findall(r'<ul class="asks[^"]*">(.*?)</ul>', html, re.DOTALL)
    items = [re.findall(r"<li[^>]*>(.*?)</li>", line, re.DOTALL) for line in found]
    either = re.compile(r'<span class="either [^>]*><bdi>.*?</bdi>')
    said = [[re.sub(r"<[^>]*>", "", either.sub("", item)).strip() for item in line] for line in items]
    return [[item for item in line if item != "It asks for:"] for line in said]


def groups(html: str) -> list[tuple[str, bool]]:
    """Return the name of each group that can be collapsed, and whether it is open."""
    found = re.findall(r'<details class="group[^"]*"( open)?>\s*<summary>.*?<bdi>(.*?)</bdi>', html, re.DOTALL)
    return [(name, bool(is_open)) for is_open, name in found]


def test_the_first_line_says_what_is_asked(agent):
    html = shown(agent, scopes=["email:read", "email:send", "calendar:write"], optional_scopes=["payments:charge"])
    each_time = ("Send email as you, asking you each time", "Take payments from you, asking you each time")
    assert lines(html) == [[each_time[1], each_time[0], "Read your email", "Manage your events"]]


def test_a_long_first_line_leaves_out_the_least_grave(agent):
    first = lines(shown(agent, scopes=["profile:read", *SCOPES[:6], "files:delete"]))[0]
    assert len(first) == 6
    assert {"Delete your files, asking you each time", "Send email as you, asking you each time"} < {*first}
    assert "See when you are busy" not in first


def beside_the_buttons(html: str) -> list[str]:
    found = re.findall(r'<li class="n(\d)">(.*?)</li>', html.partition("fit__less")[0], re.DOTALL)
    return [re.sub(r"<[^>]*>", "", item).strip() for _, item in found]


def test_scopes_of_organizations_do_not_push_out_those_of_the_catalogue(organization):
    """A window cuts off what is long, and organizations choose their titles and risk levels."""
    own = [ScopeDefinition(f"own:{number}", "critical", "Long " * 15, "See", "x") for number in "abcdef"]
    make_resource_server(organization, "https://own.example", *own)
    ids = [*(scope.id for scope in own), "email:send", "payments:charge"]
    html = shown(make_agent(organization, allowed_scopes=ids), scopes=ids)
    ours = ["Take payments from you", "Send email as you"]
    for said in (lines(html)[0], beside_the_buttons(html)):
        assert len(said) == 8
        assert all(item.startswith(title) for item, title in zip(said, [*ours, "Long"], strict=False))


def test_a_second_request_says_what_is_new_and_what_is_allowed(agent):
    ada = make_user("ada@example.com", "Ada")
    allow(ask(agent, scopes=["email:read", "calendar:read", "payments:charge"]), ada)
    known = ["Already allowed:", "Take payments from you, asking you each time", "Read your email", "See your calendar"]
    html = page(sign_in(ada), ask(agent, scopes=["email:read", "calendar:write"]))
    assert lines(html) == [["New:", "Manage your events"], known]
    html = page(sign_in(ada), ask(agent, scopes=["email:read"]))
    assert lines(html) == []
    assert "The agent asks for nothing new." in html.partition('id="decide"')[0]
    assert "asks to keep its access" in html
    assert "changes nothing." in html.partition("fit__less")[2]
    assert html.count("Will be taken away") == 3


def test_what_the_developer_has_withdrawn_is_not_among_what_is_allowed(agent):
    ada = make_user("ada@example.com", "Ada")
    allow(ask(agent, scopes=["email:read", "payments:charge"]), ada)
    scopes = ["email:read", "calendar:read"]
    update_agent(actor=SYSTEM, agent=agent, changes={"allowed_scopes": scopes})
    html = page(sign_in(ada), ask(agent, scopes=scopes))
    assert lines(html) == [["New:", "See your calendar"], ["Already allowed:", "Read your email"]]


def test_a_short_list_is_open_and_in_order_of_risk_as_beside_the_buttons(agent):
    html = shown(agent, scopes=["calendar:freebusy", "email:read", "payments:charge", "email:send"])
    assert groups(html) == []
    titles = ["Take payments from you", "Send email as you", "Read your email", "See when you are busy"]
    assert re.findall(r'id="title-[^"]*">([^<]*)<', html) == titles
    assert all(item.startswith(title) for item, title in zip(beside_the_buttons(html), titles, strict=True))


def test_a_long_list_is_collapsed_but_what_is_critical_is_open(agent):
    scopes = ["payments:charge", *[scope for scope in SCOPES if catalogue()[scope].risk_level != "critical"][:9]]
    found = dict(groups(shown(agent, scopes=scopes)))
    assert found["Payments"]
    assert not found["Calendar"]


def test_the_whole_catalogue_is_collapsed_and_called_unusual(agent):
    html = shown(agent, scopes=SCOPES)
    assert [name for name, is_open in groups(html) if is_open] == ["GitHub"], "only the first"
    assert "This is an unusually long list" in html
    assert re.findall(r'name="scopes" value="([^"]*)" checked', html) == []
    critical = [scope.title for scope in catalogue().values() if scope.risk_level == "critical"]
    assert lines(html) == [[*critical, f"and {len(SCOPES) - len(critical)} more"]]


def sources(html: str) -> list[str]:
    """Return the organization named above each group in its own words."""
    return re.findall(r'class="group__source">Words and risk level by <bdi>(.*?)</bdi>', html)


def test_scopes_of_an_organization_are_grouped_under_its_name(organization):
    make_resource_server(
        organization, "https://books.example", ScopeDefinition("books:read", "low", "Read", "See", "x")
    )
    html = shown(make_agent(organization, allowed_scopes=["books:read"]), scopes=["books:read"])
    assert sources(html) == ["Acme Robotics"]


def test_an_organization_cannot_put_its_scopes_among_those_of_a_service(db):
    imposter = make_developer("imposter@example.com", "Email")
    scope = ScopeDefinition("zzz:all", "low", "Read your email headers", "See", "sell")
    make_resource_server(imposter, "https://zzz.example", scope)
    html = shown(make_agent(imposter, allowed_scopes=["email:read", "zzz:all"]), scopes=["email:read", "zzz:all"])
    assert sources(html) == ["Email"]
    assert html.index('value="email:read"') < html.index('class="group__source"') < html.index('value="zzz:all"')


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
    assert "Rules set by <bdi>Acme Robotics</bdi>" in html
    assert re.findall(r"At most (\d+) times", html) == ["20", "21"]
    assert "which are not listed here" not in html


def test_more_rules_than_the_screen_lists_are_not_kept_silent(agent, organization, monkeypatch):
    monkeypatch.setattr("web.user.consent.facts.MAX_POLICIES", 2)
    for number in (20, 21, 22):
        rule = {"type": "rate_limit", "config": {"maxRequests": number, "windowSeconds": 3600, "scope": "per_user"}}
        actor = as_developer(ANONYMOUS, organization)
        create_policy(actor=actor, organization=organization.organization, name="Slowly", rules=[rule])
    html = shown(agent, scopes=["email:read"])
    assert re.findall(r"At most (\d+) times", html) == ["20", "21"]
    assert "And more, which are not listed here" in html
