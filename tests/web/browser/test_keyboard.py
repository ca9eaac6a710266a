"""By the keyboard alone, in the order of Tab.

A user approves, denies, pauses and revokes. A developer registers an agent, writes a policy and reads the log.
"""

import pytest

from agents.models import Agent
from approvals.models import Approval
from consent.models import Consent
from policies.models import Policy
from tests.approvals import make_approval

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MOST_STOPS = 60
STATE = """selector => {
    const e = document.activeElement;
    const isVisible = ["", "::after"].some(part => getComputedStyle(e, part || null).outlineStyle !== "none");
    return [e.matches(selector), isVisible || e.matches("input")];
}"""
# What moves although the user wants less motion.
MOVING = """() => [...document.querySelectorAll("*")].filter(e => {
    const {transitionDuration, animationName} = getComputedStyle(e);
    return !/^0s(, 0s)*$/.test(transitionDuration) || animationName !== "none";
}).map(e => e.outerHTML.slice(0, 80))"""


def tab_to(tab, selector: str) -> None:
    """Press Tab until the focus is on an element that matches, and check that each stop shows the focus."""
    for _ in range(MOST_STOPS):
        is_there, is_visible = tab.page.evaluate(STATE, selector)
        if is_there:
            assert is_visible, f"{selector} does not show that it has the focus"
            return
        tab.page.keyboard.press("Tab")
    raise AssertionError(f"{selector} cannot be reached by Tab")


def press_on(tab, selector: str, then: str) -> None:
    """Go to the element, press Enter, and wait for the element that follows, and for the scripts of its page."""
    tab_to(tab, selector)
    tab.page.keyboard.press("Enter")
    tab.page.locator(then).first.wait_for()
    tab.page.wait_for_load_state()


def sign_in(tab, email: str, password: str) -> None:
    tab_to(tab, "#id_login")
    tab.page.keyboard.type(email)
    tab_to(tab, "#id_password")
    tab.page.keyboard.type(password)
    tab.page.keyboard.press("Enter")


def test_a_user_approves_denies_pauses_and_revokes(open_tab, world, ada, granted):
    first, second = make_approval(granted), make_approval(granted)
    tab = open_tab(javascript=True, reduced_motion="reduce")
    tab.goto(f"/accounts/login/?next=/approvals/{first.id}")
    sign_in(tab, ada.email, world.PASSWORD)
    tab.page.locator("[name=decision]").first.wait_for()
    stops = tab.page.locator("main").locator("a, button, summary, input:not([type=hidden])")
    assert stops.first.get_attribute("value") == "once"
    assert tab.page.evaluate(MOVING) == []

    press_on(tab, "[name=decision][value=once]", "#outcome")
    assert Approval.objects.get(pk=first.pk).status == "approved"

    press_on(tab, "a[href='/approvals']", f"main a[href='/approvals/{second.id}']")
    press_on(tab, f"a[href='/approvals/{second.id}']", "[value=deny]")
    press_on(tab, "[name=decision][value=deny]", "#outcome")
    assert Approval.objects.get(pk=second.pk).status == "denied"

    path = f"/connections/{granted.id}"
    press_on(tab, f"main a[href='{path}']", f"[action='{path}/pause']")
    press_on(tab, f"[action='{path}/pause'] button", f"[action='{path}/resume']")
    assert Consent.objects.get(pk=granted.pk).paused_at

    press_on(tab, f"a[href='{path}/revoke']", "main .button--danger[type=submit]")
    tab_to(tab, "main .button--danger[type=submit]")
    tab.page.keyboard.press("Enter")
    tab.page.get_by_text("SmartMail can no longer act for you").wait_for()
    assert Consent.objects.get(pk=granted.pk).status == "revoked"


def test_a_developer_registers_an_agent_writes_a_policy_and_reads_the_log(open_tab, world, developer):
    tab = open_tab(javascript=True, reduced_motion="reduce")
    keyboard, refused = tab.page.keyboard, []
    tab.page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    tab.goto("/accounts/login/?next=/developer/agents/new")
    sign_in(tab, developer.user.email, world.PASSWORD)
    tab.page.locator("#id_redirect_uris").wait_for()

    for field, text in (("#id_name", "Mail Robot"), ("#id_redirect_uris", "https://robot.example/callback")):
        tab_to(tab, field)
        keyboard.type(text)
    press_on(tab, "#picker summary", "[name=allowed_scopes][value='email:read']:visible")
    tab_to(tab, "[name=allowed_scopes][value='email:read']")
    keyboard.press("Space")
    tab_to(tab, "main [name=save]")
    keyboard.press("Enter")
    tab.page.locator(".secret__value").wait_for()
    assert Agent.objects.get(name="Mail Robot").allowed_scopes == ["email:read"]

    press_on(tab, "nav a[href$='/policies']", "main a[href$='/policies/new']")
    press_on(tab, "main a[href$='/policies/new']", "#id_name")
    tab_to(tab, "#id_name")
    keyboard.type("No mail")
    press_on(tab, "[name=add][value=action_blocklist]", "fieldset.rule")
    tab_to(tab, "#id_rules-0-actions")
    keyboard.type("email:read")
    press_on(tab, "main .button--primary[type=submit]", "main .pill")
    assert Policy.objects.get(name="No mail").rules[0]["config"] == {"actions": ["email:read"]}

    press_on(tab, "nav a[href$='/logs']", ".log__link")
    press_on(tab, ".log__link", ".logs__drawer")
    keyboard.press("Escape")
    tab.page.locator(".logs__drawer").wait_for(state="detached")
    assert refused == []
