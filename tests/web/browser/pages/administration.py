"""The admin site, in areas, with long names, stops and refusals."""

from datetime import timedelta
from typing import Any

from accounts.models import User
from agents.emergency import stop_everything
from agents.services import stop_agent
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from consent.models import Consent
from core import clock
from core.actor import SYSTEM
from core.task_runs import record_run
from developers.acting import as_developer
from developers.domains import claim_domain
from developers.models import DomainClaim, Organization
from policies.services import create_policy
from tests.approvals import make_approval
from tests.constants import PASSWORD
from tests.web.browser.pages.activity import write
from tests.web.browser.pages.group import Content, Page, press
from tests.web.browser.pages.group import Group as PageGroup
from tests.web.browser.pages.samples import LONG, RULES, WIDE
from tests.world import ANONYMOUS, allow, ask, make_agent, make_developer, make_resource_server, make_user


def make() -> Content:
    """Make two organizations, one with long names and a stopped agent, and denials of the last hour."""
    root = User.objects.create_superuser("root@example.com", PASSWORD, name="Root")
    ada, developer = make_user("ada@example.com", "Ada Lovelace"), make_developer("dev@example.com", "Acme Robotics")
    agent, long = make_agent(developer, name="SmartMail"), make_agent(developer, name=LONG, description=WIDE)
    granted = allow(ask(agent), ada)
    allow(ask(long), ada)
    other = make_developer("other@example.com", LONG)
    make_resource_server(developer, "https://books.example")
    actor = as_developer(ANONYMOUS, developer)
    policy = create_policy(actor=actor, organization=developer.organization, name=LONG, rules=RULES)
    stopped = make_agent(other, name="Stopped")
    stop_agent(actor=SYSTEM.acting_as("administrator", root.id), agent=stopped, reason=WIDE)
    for number in range(25):
        denied = deny(agent if number % 5 else long, ada, number)
    bound_consent(granted)
    approval = make_approval(granted)
    record_run("server.tasks.record_heartbeat", started_at=clock.now(), seconds=0.01, result=None)
    record_run("tokens.tasks.sweep_tokens", started_at=clock.now(), seconds=0.4, result=17)
    record_run("consent.tasks.sweep_codes", started_at=clock.now(), seconds=0.1, result=None, error="OperationalError")
    ask_to_be_verified(developer.organization)
    ids = {"org": developer.organization_id, "other": other.organization_id, "agent": agent.id, "stopped": stopped.id}
    ids |= {"ada": ada.id, "consent": granted.id, "policy": policy.id, "root": root.id}
    ids |= {"denied": denied, "approval": approval.id}
    return Content(root.email, ids)


def ask_to_be_verified(organization: Organization) -> None:
    claim = claim_domain(actor=SYSTEM, organization=organization, domain="acme.com")
    known = {"proved_at": clock.now(), "checked_at": clock.now(), "review_asked_at": clock.now(), "method": "dns"}
    DomainClaim.objects.filter(pk=claim.pk).update(**known)
    Organization.objects.filter(pk=organization.pk).update(domain=claim.name)


def bound_consent(consent: Consent) -> None:
    """Give a consent terms of each kind."""
    limit = {"type": "rate_limit", "config": {"maxRequests": 20, "windowSeconds": 3600, "scope": "per_user"}}
    target = {"type": "email_send", "identifiers": ["bob@example.com", WIDE[:60]]}
    bounds = {"modes": {"email:read": "ask"}, "guards": {"data_flow": "ask"}, "limits": {"email:send": [limit]}}
    Consent.objects.filter(pk=consent.pk).update(terms={**bounds, "targets": {"email:send": [target]}})


def deny(agent: Any, user: User, minutes: int) -> str:
    draft = Draft(
        event=Event.TOKEN_VERIFY,
        actor=SYSTEM,
        outcome=Outcome.DENIED,
        reason="insufficient_scope",
        organization_id=agent.organization_id,
        user_id=user.id,
        agent_id=agent.id,
        scopes=["email:send"],
        metadata={"tokenId": LONG, "attempts": [{"at": 1, "of": WIDE}]},
    )
    return write(draft, timedelta(minutes=minutes))


def make_clerk() -> Content:
    """Make an administrator who only reads, while everything is stopped."""
    clerk = make_user("clerk@example.com", "Clerk")
    User.objects.filter(pk=clerk.pk).update(is_staff=True)
    make_agent(make_developer("dev@example.com", "Acme Robotics"), name="SmartMail")
    stop_everything(actor=SYSTEM, reason=WIDE)
    return Content(clerk.email)


def make_other() -> Content:
    """Make a user who is not an administrator."""
    return Content(make_user("ada@example.com", "Ada Lovelace").email)


def choose_all(tab: Any) -> None:
    """Select the first row of a list, and go on to the page that asks for the reason."""
    tab.page.locator("main [type=checkbox]").first.check()
    press("Continue")(tab)


def open_filter(tab: Any) -> None:
    """Open the last filter of a list. On phones, the filters are a popover."""
    toggle = tab.page.locator("[popovertarget=admin-tools]")
    if toggle.is_visible():
        toggle.click()
    tab.page.locator(".admin__filter summary").last.click()


GROUPS = [
    PageGroup(
        "administration",
        make,
        [
            "/admin/",
            Page("/admin/agents/agent/", open_filter, "filter"),
            Page("/admin/agents/agent/", choose_all, "reason"),
            "/admin/agents/agent/{agent}/change/",
            Page("/admin/agents/agent/{agent}/act/stop/", press("Stop agent"), "without a reason"),
            "/admin/developers/organization/{org}/change/",
            "/admin/accounts/user/{ada}/change/",
            "/admin/accounts/user/{ada}/edit/",
            "/admin/policies/policy/{policy}/change/",
            "/admin/consent/consent/{consent}/change/",
            "/admin/approvals/approval/{approval}/change/",
            "/admin/audit/entry/",
            "/admin/audit/entry/{denied}/change/",
            "/admin/core/taskrun/",
            "/admin/auth/group/new/",
            "/admin/emergency-stop/",
            "/admin/search/?q=ada@example.com",
        ],
        [
            "/admin/agents/agent/",
            "/admin/agents/agent/{stopped}/change/",
            "/admin/agents/agent/{stopped}/proof/",
            "/admin/developers/organization/{other}/change/",
            "/admin/accounts/user/",
            "/admin/accounts/user/{root}/change/",
            "/admin/policies/policy/",
            "/admin/approvals/approval/",
            "/admin/audit/entry/?q=nothing",
            "/admin/tokens/signingkey/",
            "/admin/search/?q=smart",
            "/admin/search/?q=nothing",
            Page("/admin/agents/agent/agt_gone/change/", status=404),
        ],
    ),
    PageGroup("administration-clerk", make_clerk, ["/admin/"], [Page("/admin/agents/agent/", status=403)]),
    PageGroup("administration-other", make_other, [], [Page("/admin/login/", status=403)]),
]
