"""Connections in each state, with long names, limits and targets."""

from typing import Any

from accounts.models import User
from consent.details import AuthorizationDetail
from consent.narrowing import Narrowing, narrow_consent
from consent.pausing import pause_agent
from consent.services import revoke_consent
from consent.targets import Pick
from consent.terms import GivenTerms
from core import clock
from developers.models import Developer, Organization
from resources.catalogue import catalogue
from resources.custom_scopes import ScopeDefinition
from tests.approvals import EMAIL, make_approval
from tests.web.browser.pages.group import Content, Group, Page
from tests.web.browser.pages.samples import LONG, RULES, WIDE, foreign_service
from tests.world import (
    allow,
    as_user,
    ask,
    grant_to,
    hand_over,
    let_delegate,
    make_agent,
    make_developer,
    make_resource_server,
    make_user,
)
from tokens.delegations import end_delegation

RECIPIENTS = {"field": "recipient", "operator": "matches_any", "values": ["*@acme.com", f"{LONG}@example.com"]}
LIMITS = [*RULES[:2], {"type": "context_match", "config": {"conditions": [RECIPIENTS]}}]


def make() -> Content:
    ada, developer = make_user("ada@example.com", "Ada"), make_developer("dev@example.com", "Acme Robotics")
    make_resource_server(developer, "https://books.example", ScopeDefinition("books:read", "high", LONG, "See", "sell"))
    agent = make_agent(
        developer,
        name=LONG,
        description="Sorts your mail. " * 5,
        allowed_scopes=["email:read", "email:send", "payments:charge", "books:read"],
    )
    targets = AuthorizationDetail(type="repository", identifiers=[LONG, WIDE], actions=["email:read"])
    scopes = ["email:read", "email:send", "payments:charge", "books:read"]
    services = ["https://books.example", foreign_service()]
    granted = allow(ask(agent, scopes=scopes, authorization_details=[targets], resource=services), ada)
    terms = GivenTerms(modes={"email:send": "ask"}, limits={"email:send": LIMITS}, guards={"data_flow": "ask"})
    narrow_consent(actor=as_user(ada), user=ada, consent=granted, narrowing=Narrowing(terms=terms))
    content = {**EMAIL, "recipient": f"{LONG}@example.com"}
    make_approval(granted, status="approved", is_standing=True, decided_at=clock.now(), context=content)
    paused = allow(ask(make_agent(developer, name="Paused")), ada)
    guarded = Narrowing(terms=GivenTerms(guards={"data_flow": "ask"}))
    narrow_consent(actor=as_user(ada), user=ada, consent=paused, narrowing=guarded)
    pause_agent(actor=as_user(ada), consent=paused)
    everything = list(catalogue())
    whole = allow(ask(make_agent(developer, name="Whole", allowed_scopes=everything), scopes=everything), ada)
    ended = allow(ask(make_agent(developer, name="Ended")), ada)
    revoke_consent(actor=as_user(ada), consent=ended)
    other = allow(ask(agent), make_user("bob@example.com", "Bob"))
    consents = {"granted": granted, "paused": paused, "whole": whole, "ended": ended, "other": other}
    return Content(ada.email, {name: consent.id for name, consent in consents.items()} | hand_on(ada, developer))


def hand_on(ada: User, developer: Developer) -> dict[str, str]:
    """Let an agent hand work to others, and these to further ones, some with long names. Return ids."""
    token = grant_to(make_agent(developer, name="Planner"), ada, ["email:read", "email:send", "calendar:freebusy"])
    consent, rival = let_delegate(token, "verified"), make_developer("rival@example.com", LONG)
    Organization.objects.filter(pk=rival.organization_id).update(is_verified=True)
    bounds: dict[str, Any] = {
        "limits": {"email:send": LIMITS},
        "task": LONG,
        "targets": [Pick("account", [LONG, WIDE])],
    }
    first, issued = hand_over(token, make_agent(developer, name="Summarizer"), ["email:read", "email:send"], **bounds)
    for name in ("Translator", LONG, WIDE[:60]):
        _, issued = hand_over(issued.access_token, make_agent(rival, name=name), ["email:read"])
    for name in ("Booker", "Cut off"):
        other, _ = hand_over(token, make_agent(developer, name=name), ["calendar:freebusy"])
    end_delegation(actor=as_user(ada), delegation=other)
    return {"handed": consent.id, "delegation": first.id}


def make_many() -> Content:
    ada, developer = make_user("ada@example.com", "Ada"), make_developer("dev@example.com", "Acme Robotics")
    for number in range(21):
        allow(ask(make_agent(developer, name=f"Agent {number}")), ada)
    return Content(ada.email)


def widen(tab: Any) -> None:
    """Send a limit that is wider than the one in force."""
    page = tab.page
    page.evaluate("document.querySelectorAll('main details').forEach(each => { each.open = true })")
    page.locator("[name='limit-number-email:send']").fill("1000")
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.locator("[id='save-email:send']").click()
    page.locator("#errors").wait_for()


def pause_all(tab: Any) -> None:
    tab.page.locator("form[action$='/agents/pause'] button").click()
    tab.page.locator("form[action$='/agents/resume']").first.wait_for()


GROUPS = [
    Group(
        "connections",
        make,
        [
            "/connections",
            "/connections/{granted}",
            Page("/connections/{granted}", widen, "a wider limit"),
            "/connections/{handed}/revoke",
            "/connections/{handed}",
            "/connections/{paused}",
            "/connections/{ended}",
            Page("/connections", pause_all, "all paused"),
        ],
        [
            "/connections?show=ended",
            "/connections/delegations/{delegation}/end",
            "/connections/{whole}",
            Page("/connections/{other}", status=404),
        ],
    ),
    Group("many-connections", make_many, ["/connections"], ["/connections?q=agent+1", "/connections?q=nobody"]),
]
