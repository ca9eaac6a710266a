"""Approvals: open, held back, critical, paused, decided, lapsed, someone else's; and rules, offered and in force."""

from datetime import timedelta
from typing import Any

from accounts.models import User
from agents.models import Agent
from agents.services import stop_agent
from approvals.models import Approval
from approvals.standing_rules import accept_suggestion
from consent.models import Consent
from consent.pausing import pause_agent, pause_all_agents
from core import clock
from core.actor import SYSTEM
from core.money import Amount
from core.secrets import digest
from tests.approvals import EMAIL, make_approval
from tests.web.browser.pages.group import Content, Group, Page
from tests.web.browser.pages.samples import LONG
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

# What the gateway says of a call of a tool.
TOOL = {"arguments": "a1" * 32, "definition": "b2" * 32, "labels": ["outbound"]}
DIFF = "--- a/menu.txt\n+++ b/menu.txt\n Tomato soup\n-Price: 4.50\n+Price: 5.20\n+Bread is included\n Thank you"
LETTER = "Dear Bob,\n\nTuesday at ten suits me. Shall we meet at the station?\n\nAda"


def pay(shop: str, value: str) -> dict[str, Any]:
    return {"verb": "pay", "recipient": shop, "amount": {"value": value, "currency": "EUR"}, "text": f"Order {value}"}


def answered(granted: Consent, shop: str, values: list[str], **fields: Any) -> list[Approval]:
    """Make questions about payments to a shop that the user has answered, one per hour."""
    now = clock.now()
    asked = []
    for number, value in enumerate(values):
        at = now - timedelta(hours=number + 1)
        target, given = digest(shop), {"status": "used", "decided_at": at, "used_at": at, "now": at, **fields}
        asked.append(make_approval(granted, context=pay(shop, value), target_digest=target, **given))
    return asked


def teach(granted: Consent, shop: str) -> Approval:
    """Let the user approve up to 20 euros at a shop, and deny 45. Return a request from which the rule follows."""
    approved = answered(granted, shop, ["12.50", "8", "19.90", "20", "4.75", "16", "11"])
    answered(granted, shop, ["45"], status="denied", used_at=None)
    answered(granted, shop, ["30"], status="expired", decided_at=None, used_at=None)
    return approved[0]


def make() -> Content:
    ada, developer = make_user("ada@example.com", "Ada"), make_developer("dev@example.com", "Acme Robotics")
    granted = allow(ask(make_agent(developer, name="SmartMail")), ada)
    long = allow(ask(make_agent(developer, name=LONG)), ada)
    paused = allow(ask(make_agent(developer, name="Paused")), ada)
    stopped = allow(ask(make_agent(developer, name="Stopped")), ada)
    content = {**EMAIL, "text": f"{LONG * 5}\n" * 3, "diff": "-a\n+b", LONG: {"list": [LONG, 1]}}
    content |= {"amount": {"value": "12.50", "currency": "EUR"}, "recipient": f"{LONG}@example.com"}
    server = make_resource_server(developer, f"https://{LONG.lower()[:60]}.example/api", name="Acme Mail").server
    for_service = {"server_id": server.id, "audience": ["http://localhost:8000", server.identifier]}
    end = clock.now()
    for number in range(7):
        shop = pay("bulk.example", "1") if number < 5 else content
        make_approval(long, is_held=True, context=shop, target_digest=digest(str(number < 5)))
    offered, known = teach(granted, "shop.example"), teach(granted, "bakery.example")
    rule = accept_suggestion(actor=as_user(ada), example=known, user=ada, ceiling=Amount("20", "EUR"), per_day=7)
    ids = {
        "asked": make_approval(granted, context={**EMAIL, "verb": "send", "text": LETTER}, **for_service).id,
        "shop": make_approval(granted, context=pay("shop.example", "19.90"), target_digest=offered.target_digest).id,
        "diff": make_approval(granted, context={"verb": "update", "target": "menu.txt", "diff": DIFF, **TOOL}).id,
        "long": make_approval(long, context=content, resource=f"https://example.com/{LONG}", **for_service).id,
        "silent": make_approval(granted, context={}).id,
        "critical": make_approval(granted, is_critical=True).id,
        "paused": make_approval(paused).id,
        "stopped": make_approval(stopped).id,
        "standing": make_approval(
            granted, status="approved", is_standing=True, decided_at=end, expires_at=end + timedelta(days=7)
        ).id,
        "denied": make_approval(granted, status="denied", decided_at=end).id,
        "lapsed": make_approval(granted, expires_at=end).id,
        "rule": rule.id,
        "known": known.id,
        "chained": chained(ada, make_agent(developer, name="Planner"), make_agent(developer, name=LONG)),
        "others": make_approval(allow(ask(granted.agent), make_user("bob@example.com"))).id,
    }
    pause_agent(actor=as_user(ada), consent=paused)
    stop_agent(actor=SYSTEM, agent=stopped.agent, reason="It sent spam.")
    return Content(ada.email, ids)


def chained(user: User, agent: Agent, other: Agent) -> str:
    """Let the agent hand work to the other one, which asks."""
    token = grant_to(agent, user, ["email:send"])
    consent = let_delegate(token)
    delegation, _ = hand_over(token, other, ["email:send"])
    return make_approval(consent, agent=other, chain=[[agent.id, None], [other.id, delegation.id]]).id


def make_paused() -> Content:
    """Make a user who paused all agents while one waits for an approval."""
    ada = make_user("ada@example.com", "Ada")
    granted = allow(ask(make_agent(make_developer("dev@example.com", "Acme Robotics"), name="SmartMail")), ada)
    asked = make_approval(granted)
    pause_all_agents(actor=as_user(ada), user=ada)
    return Content(ada.email, {"asked": asked.id})


def decide_twice(tab: Any) -> None:
    """Deny the request in another tab, and then approve it in this one."""
    other = tab.page.context.new_page()
    other.goto(tab.page.url)
    other.locator("[value=deny]").click()
    other.close()
    with tab.page.expect_navigation():
        tab.page.locator("[value=once]").click()


GROUPS = [
    Group(
        "approvals",
        make,
        [
            "/approvals",
            "/approvals?show=standing",
            *(f"/approvals/{{{name}}}" for name in ("shop", "diff", "long", "critical", "paused", "standing", "rule")),
        ],
        [
            "/approvals?show=waiting",
            *(
                f"/approvals/{{{name}}}"
                for name in ("asked", "chained", "silent", "stopped", "denied", "lapsed", "known")
            ),
            Page("/approvals/{others}", status=404),
            Page("/approvals/{asked}", act=decide_twice, state="decided twice"),
        ],
    ),
    Group("approvals-paused", make_paused, [], ["/approvals", "/approvals/{asked}"]),
]
