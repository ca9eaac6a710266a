"""The policy editor with a script: the words of a rule follow what the developer types, and the focus stays."""

import pytest

from policies.models import Policy

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_words_of_a_rule_follow_what_is_typed(open_tab, developer):
    tab = open_tab(javascript=True)
    tab.open_as(developer.user.email, "/developer/policies/new")
    page = tab.page
    page.get_by_role("button", name="Blocked actions").click()
    page.locator("fieldset.rule:focus").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.type("email:red")
    words = page.locator("#rules-0-words")
    words.get_by_text("Never allowed: email:red.").wait_for()
    assert 'Did you mean "email:read"?' in words.inner_text()

    page.keyboard.press("ArrowLeft")
    page.keyboard.type("a")
    words.get_by_text("Never allowed: email:read.").wait_for()
    assert "Did you mean" not in words.inner_text()
    assert tab.focused() == "id_rules-0-actions"
    page.keyboard.press("Shift+ArrowRight")
    assert page.evaluate("getSelection().toString()") == "d"


def test_enter_tries_a_request_and_saves_nothing(open_tab, developer, agent):
    tab = open_tab(javascript=True)
    tab.open_as(developer.user.email, "/developer/policies/new")
    page = tab.page
    page.get_by_role("button", name="Blocked actions").click()
    page.locator("[name=rules-0-actions]").fill("email:send")
    page.get_by_role("button", name="Try one request").click()
    page.locator("[name=try-agent]").fill(agent.name)
    page.locator("[name=try-scopes]").fill("email:send")
    page.locator("[name=try-action]").press("Enter")
    result = page.locator("#attempt-result")
    result.get_by_text("The request asks for a blocked action.").wait_for()

    page.locator("[name=rules-0-actions]").fill("email:read")
    result.get_by_text("The result appears here").wait_for()  # what it said is not true of what is typed now
    assert not Policy.objects.exists()
