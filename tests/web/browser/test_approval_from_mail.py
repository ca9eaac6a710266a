"""From the email about a request to the decision, on a phone: few steps and less than ten seconds."""

import re
import time
from typing import Any

import pytest

from approvals.models import Approval
from approvals.tasks import mail_approvals
from core.secrets import digest
from tests.approvals import make_approval
from tests.constants import PASSWORD
from tests.mails import read
from tests.web.browser.pages.approvals import pay, teach
from tests.world import allow, ask, make_agent, make_developer, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PHONE = {"width": 390, "height": 844}
SECONDS = 10
DECISION_HEIGHT = 44
SHOP = "shop.example"


@pytest.fixture
def asked(db: None) -> Approval:
    ada = make_user("ada@example.com", "Ada")
    granted = allow(ask(make_agent(make_developer("dev@example.com", "Acme Robotics"), name="SmartMail")), ada)
    teach(granted, SHOP)
    return make_approval(granted, context=pay(SHOP, "19.90"), target_digest=digest(SHOP))


def link_in(mail: Any) -> str:
    """Return the path of the link to the request."""
    return re.findall(r"http://localhost:8000(/approvals/\S+)", mail.body)[0]


@pytest.mark.parametrize(("decision", "javascript"), [("once", True), ("deny", False)])
def test_a_decision_takes_few_steps(
    open_tab: Any, asked: Approval, mailoutbox: list[Any], *, javascript: bool, decision: str
) -> None:
    mail_approvals()
    (mail,) = mailoutbox
    assert "Pay €19.90 to shop.example" in read(mail)
    tab = open_tab(javascript=javascript)
    tab.page.set_viewport_size(PHONE)
    started = time.monotonic()

    tab.goto(link_in(mail))  # 1: the link leads to the sign-in
    tab.sign_in("ada@example.com", PASSWORD)  # 2: which leads back
    tab.page.wait_for_url(f"**{link_in(mail)}")
    assert "Pay €19.90 to shop.example" in tab.page.locator("h1").inner_text()
    assert asked.code in mail.body
    assert tab.page.locator(".asked__code").inner_text() == asked.code
    shown = ["h1", ".asked__who", ".asked__code", "[value=once]", "[value=deny]"]
    assert [each for each in shown if not tab.shows(tab.page.locator(each))] == []
    heights = [tab.page.locator(f"[value={each}]").bounding_box()["height"] for each in ("once", "deny", "pause")]
    assert min(heights) >= DECISION_HEIGHT
    tab.page.locator(f"[value={decision}]").click()  # 3
    tab.page.locator("#outcome").wait_for()

    assert time.monotonic() - started < SECONDS
    asked.refresh_from_db()
    assert asked.status == {"once": "approved", "deny": "denied"}[decision]
    assert tab.page.title().startswith(f"{asked.status.title()}: Pay €19.90 to shop.example")
    assert tab.focused() == "outcome"


def test_a_rule_is_accepted_and_undone(open_tab: Any, asked: Approval) -> None:
    """With the keyboard alone, and without JavaScript."""
    tab = open_tab()
    tab.open_as("ada@example.com", f"/approvals/{asked.id}")
    page = tab.page
    page.get_by_role("button", name="Always allow").press("Enter")
    page.get_by_role("button", name="Undo").wait_for()
    assert Approval.objects.filter(evidence__isnull=False, status="approved").count() == 1
    page.get_by_role("button", name="Undo").press("Enter")
    page.get_by_role("button", name="Always allow").wait_for()
    assert not Approval.objects.filter(evidence__isnull=False, status="approved").exists()
