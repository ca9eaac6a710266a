"""The pages of policies in the developer portal."""

from typing import Any

from agents.deletion import delete_agent
from audit.sequencing.sequencer import sequence
from core.actor import SYSTEM
from decisions.requests import VerifyRequest
from decisions.services import decide
from developers.acting import as_developer
from policies.services import create_policy, restore_version, update_policy
from tests.web.browser.pages.group import Content, Group, Page, press_live
from tests.web.browser.pages.samples import LONG, RULES, WIDE
from tests.world import ANONYMOUS, make_agent, make_grant

TOO_LONG = press_live("Save policy", {"[name=rules-0-windowSeconds_count]": "999"})
UNKNOWN = press_live("Preview rules", {"[name=rules-2-actions]": "emial:send"})
CONDITIONS = [
    {"field": "recipients.address", "operator": "matches_any", "values": ["*@acme.example", WIDE]},
    {"field": "amount.value", "operator": "at_most", "value": "50.00"},
]
MORE_RULES: list[dict[str, Any]] = [*RULES, {"type": "context_match", "config": {"conditions": CONDITIONS}}]


def make() -> Content:
    grant = make_grant(scopes=["email:read", "email:send"])
    developer = grant.agent.organization.developers.get()
    actor, organization = as_developer(ANONYMOUS, developer), developer.organization
    agent = make_agent(developer, name=LONG)
    policy = create_policy(actor=actor, organization=organization, name=LONG, agent=agent, rules=MORE_RULES)
    trial = [{"type": "action_blocklist", "config": {"actions": ["email:send"]}}]
    shadow = create_policy(actor=actor, organization=organization, name="No mail", rules=trial, mode="shadow")
    create_policy(actor=actor, organization=organization, name="Nothing yet", rules=[], enabled=False)
    update_policy(actor=actor, policy=policy, changes={"name": WIDE, "rules": RULES, "mode": "shadow"})
    restore_version(actor=actor, policy=policy, number=1)
    gone = make_agent(developer, name="Gone")
    update_policy(actor=actor, policy=policy, changes={"agent": gone})
    update_policy(actor=SYSTEM, policy=policy, changes={"agent": agent})
    delete_agent(actor=actor, agent=gone)
    decide([VerifyRequest(grant.access_token, [scope], ANONYMOUS) for scope in ("email:read", "email:send")])
    sequence()
    return Content(developer.user.email, {"policy": policy.id, "shadow": shadow.id})


def try_one_request(tab: Any) -> None:
    press_live("Try one request")(tab)
    press_live("Try", {"[name=try-scopes]": "payments:charge", "[name=try-at]": "2026-11-28T23:00"})(tab)
    tab.page.locator("#attempt-result .notice").wait_for()


def replay(tab: Any) -> None:
    tab.page.locator("button[name=replay]").first.click()
    tab.page.locator("#replayed").wait_for()


def restore_without_agent(tab: Any) -> None:
    tab.page.locator("#restore-4").click()
    tab.page.locator("#errors").wait_for()


GROUPS = [
    Group(
        "developer-policies",
        make,
        [
            "/developer/{organization}/policies",
            "/developer/{organization}/policies/{policy}",
            "/developer/{organization}/policies/{shadow}",
            Page("/developer/{organization}/policies/{policy}/edit", TOO_LONG, "error"),
            Page("/developer/{organization}/policies/{policy}/edit", try_one_request, "a request is tried"),
            Page("/developer/{organization}/policies/{shadow}/edit", replay, "replayed"),
            Page("/developer/{organization}/policies/{policy}/history", restore_without_agent, "a refusal"),
            "/developer/{organization}/policies/{policy}/delete",
        ],
        [
            "/developer/{organization}/policies?q=none",
            Page("/developer/{organization}/policies/new", press_live("Save policy"), "error"),
            Page("/developer/{organization}/policies/{policy}/edit", UNKNOWN, "an unknown action"),
            "/developer/{organization}/policies/{policy}/history",
        ],
    ),
]
