"""By the keyboard alone, in the order of Tab: a user signs in, approves, denies, pauses and revokes."""

import pytest

from consent.models import Approval, Consent
from tests.approvals import make_approval

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MOST_STOPS = 60
STATE = """selector => {
    const e = document.activeElement;
    return [e.matches(selector), getComputedStyle(e).outlineStyle !== "none" || e.matches("input")];
}"""


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
    """Go to the element, press Enter, and wait for the element that follows."""
    tab_to(tab, selector)
    tab.page.keyboard.press("Enter")
    tab.page.locator(then).first.wait_for()


def test_a_user_approves_denies_pauses_and_revokes(open_tab, world, ada, granted):
    first, second = make_approval(granted), make_approval(granted)
    tab = open_tab(javascript=True, reduced_motion="reduce")
    tab.goto(f"/accounts/login/?next=/approvals/{first.id}")
    tab_to(tab, "#id_login")
    tab.page.keyboard.type(ada.email)
    tab_to(tab, "#id_password")
    tab.page.keyboard.type(world.PASSWORD)
    tab.page.keyboard.press("Enter")
    tab.page.locator("[name=decision]").first.wait_for()

    press_on(tab, "[name=decision][value=once]", "main .pill")
    assert Approval.objects.get(pk=first.pk).status == "approved"

    press_on(tab, "a[href='/approvals']", f"main a[href='/approvals/{second.id}']")
    press_on(tab, f"a[href='/approvals/{second.id}']", "[value=deny]")
    press_on(tab, "[name=decision][value=deny]", "main .pill")
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
