"""The developer portal."""

from datetime import timedelta
from typing import Any

from accounts.models import User
from agents.client_secrets import create_client_secret, rotate_client_secret
from agents.logos import FetchedLogo, save_logo
from agents.services import stop_agent, update_agent
from core import clock
from core.actor import SYSTEM
from decisions.requests import VerifyRequest
from decisions.services import decide
from developers.acting import as_developer
from developers.api_keys import create_api_key, rotate_api_key
from developers.models import Developer, DomainClaim, Organization
from developers.roles import Role
from developers.services import suspend_organization
from developers.stopping import delete_organization, stop_organization
from events.services import CheckedUrl, send_test
from policies.services import create_policy
from resources.custom_scopes import ScopeDefinition, save_scopes
from tests.events.webhooks import follow, queue, webhook_for
from tests.pictures import png
from tests.web.browser.pages.group import Content, Group, Page, press, press_live, send, with_error
from tests.web.browser.pages.samples import LONG, RULES, WIDE
from tests.world import (
    ANONYMOUS,
    allow,
    ask,
    make_agent,
    make_developer,
    make_grant,
    make_invitation,
    make_member,
    make_resource_server,
    make_user,
)

WRONG_DOMAIN = with_error("#id_domain", "co.uk", "Continue")
LINK = f"https://acme.com/{LONG}"
WRONG_SERVER = send({"#id_name": LONG, "#id_identifier": "x", "#id_title": "y"}, "Register resource server")


def preview_all(tab: Any) -> None:
    """Tick every scope and fill in a long name. The preview follows."""
    tab.page.locator("[name=name]").fill(LONG)
    tab.page.locator("[name=description]").fill(WIDE)
    tab.page.evaluate("document.querySelectorAll('[name=allowed_scopes]').forEach(one => { one.checked = true })")
    tab.page.locator("[name=redirect_uris]").fill("http://localhost/callback")
    tab.page.locator("#preview .consent__title", has_text=LONG[:20]).wait_for()


def make() -> Content:
    developer = make_developer("dev@example.com", "Acme Robotics")
    agent = make_agent(developer, name=LONG, description="Sorts your mail. " * 5)
    allow(ask(agent), make_user("ada@example.com", "Ada"))
    stopped = make_agent(developer, name="Stopped")
    stop_agent(actor=SYSTEM, agent=stopped, reason=WIDE)
    actor = as_developer(ANONYMOUS, developer)
    create_client_secret(actor=actor, agent=agent, name=WIDE[:100])
    update_agent(actor=actor, agent=agent, changes={"homepage_url": "https://acme.com/", "privacy_url": LINK})
    save_logo(actor=actor, agent=agent, logo=FetchedLogo(LINK, png(), "image/png"))
    key = create_api_key(actor=actor, developer=developer, name=WIDE[:100], lifetime_seconds=2_592_000).row
    rotate_api_key(actor=actor, developer=developer, key_id=developer.api_keys.last().pk, overlap_seconds=3600)
    create_api_key(actor=actor, developer=developer, name=WIDE[:100], agent_ids=[agent.id], owned_by_organization=True)
    ids = {"agent": agent.id, "stopped": stopped.id, "secret": agent.secrets.last().pk, "key": key.id}
    return Content(developer.user.email, ids)


def make_team() -> Content:
    """Members with long names, who have made secrets, an invitation, and a stop of all agents."""
    developer = make_developer("owner@example.com", "Acme Robotics")
    member = make_member(developer, "grace@example.com", Role.DEVELOPER)
    User.objects.filter(pk=member.user_id).update(name=WIDE[:100])
    make_agent(member, name=LONG)
    make_resource_server(member, f"https://seen.example/{WIDE}")
    make_invitation(developer, f"{'w' * 60}@example.com")
    return Content(developer.user.email, {"member": member.id})


def make_stopped() -> Content:
    content = make_team()
    owner = Developer.objects.get(user__email=content.email)
    actor = as_developer(ANONYMOUS, owner)
    stop_organization(actor=actor, organization=owner.organization, reason=WIDE)
    delete_organization(actor=actor, organization=owner.organization)
    return content


def make_servers() -> Content:
    developer = make_grant(developer="services@example.com").agent.organization.developers.get()
    read = ScopeDefinition("tickets:read", "low", "Read your tickets", "See your tickets", "change them", ["private"])
    long = ScopeDefinition(f"tickets:{'w' * 50}", "critical", WIDE[:80], WIDE, WIDE)
    make_resource_server(developer, f"https://tickets.example/{WIDE}", read, long, "email:read")
    server = make_resource_server(
        developer, "https://api.tickets.example", read, "email:read", "payments:charge"
    ).server
    unoffered = ScopeDefinition("tickets:export", "high", "Export your tickets", "Take all your tickets", "change them")
    save_scopes(developer.organization, [unoffered])
    return Content(developer.user.email, {"server": server.id})


def make_domain(domain: str = "acme.com", **fields: object) -> Content:
    developer = make_developer("proved@example.com", "Acme Robotics")
    now = clock.now()
    known = {"method": "dns", "checked_at": now, "proved_at": now, "due_at": now + timedelta(hours=5), **fields}
    claim = {"organization": developer.organization, "name": domain, "token": "0" * 40, "created_at": now}
    DomainClaim.objects.create(**claim, **known)
    Organization.objects.filter(pk=developer.organization_id).update(domain=domain)
    return Content(developer.user.email)


def make_missing_domain() -> Content:
    problems = {"method": "", "dns_problem": "other", "file_problem": "unreachable"}
    return make_domain(".".join([WIDE[:60]] * 3) + ".com", failing_since=clock.now(), **problems)


def make_empty() -> Content:
    return Content(make_developer("new@example.com", LONG).user.email)


def make_suspended() -> Content:
    developer = make_developer("closed@example.com", LONG)
    suspend_organization(actor=SYSTEM, organization=developer.organization, reason=WIDE)
    return Content(developer.user.email)


def make_audited() -> Content:
    """The world of `make`, for an auditor."""
    agent = make().ids["agent"]
    auditor = make_member(Developer.objects.get(), "audit@example.com", Role.AUDITOR)
    return Content(auditor.user.email, {"agent": agent})


def make_busy() -> Content:
    """An organization after its first run, with something that needs attention and denials of several kinds."""
    grant = make_grant(developer="busy@example.com", scopes=["email:read", "email:send"])
    organization, agent = grant.agent.organization, grant.agent
    developer = organization.developers.get()
    actor = as_developer(ANONYMOUS, developer)
    blocked = [{"type": "action_blocklist", "config": {"actions": ["email:send"]}}]
    create_policy(actor=actor, organization=organization, name=LONG, rules=blocked)
    create_policy(actor=actor, organization=organization, name="Shadow", rules=RULES, mode="shadow")
    update_agent(actor=actor, agent=agent, changes={"name": LONG})
    rotate_client_secret(actor=actor, agent=agent, overlap_seconds=3600)
    stop_agent(actor=SYSTEM, agent=make_agent(developer, name="Stopped"), reason=WIDE)
    for scope in ("email:read", "email:send", "payments:charge"):
        decide([VerifyRequest(grant.access_token, [scope], ANONYMOUS, action="mail.do")])
    return Content(developer.user.email, {"agent": agent.id})


def make_trials() -> Content:
    """An agent to try, and one without scopes."""
    developer = make_developer("tries@example.com", "Acme Robotics")
    agent = make_agent(developer, name=LONG, description="Sorts your mail. " * 5)
    actor = as_developer(ANONYMOUS, developer)
    create_policy(actor=actor, organization=developer.organization, name=LONG, rules=RULES)
    bare = make_agent(developer, allowed_scopes=[])
    return Content(developer.user.email, {"agent": agent.id, "bare": bare.id})


def make_webhooks() -> Content:
    """A webhook with a long URL that fails, and one that is switched off."""
    developer = make_developer("hooks@example.com", "Acme Robotics")
    agents = [make_agent(developer, name=LONG).id, make_agent(developer, name=WIDE[:100]).id]
    off = webhook_for(developer, is_enabled=False)
    types = ["consent.*", "approval.*", "token.revoked", "webhook.*", "token.verify"]
    webhook = queue(developer, *types, url=CheckedUrl(f"https://hooks.example/{LONG}"), agent_ids=agents)
    send_test(actor=as_developer(ANONYMOUS, developer), organization_id=off.organization_id, webhook_id=webhook.pk)
    follow()
    now = clock.now()
    tried = {"attempt": 3, "tried_at": now, "duration_ms": 10_000, "due_at": now + timedelta(hours=2)}
    webhook.deliveries.update(response_status=503, response_body=f"<b>{WIDE}</b>", **tried)
    type(webhook).objects.filter(pk=webhook.pk).update(failing_since=now, delivered_at=now)
    return Content(developer.user.email, {"webhook": webhook.pk, "delivery": webhook.deliveries.first().pk})


def choose_types(tab: Any) -> None:
    """Choose types, look at an example, and send the form without a URL."""
    for group in ("Consent", "Tokens", "Limit the webhook to some agents"):
        tab.page.locator("summary", has_text=tab.words(group)).first.click()
    tab.page.locator("[value='consent.*']").check()
    tab.page.locator("[value='token.revoked']").check()
    tab.page.locator("li:has([value='token.revoked']) button").click()
    tab.page.locator(".types pre").wait_for()
    tab.page.locator("#find").fill("token.revoked")
    tab.page.locator("li:has([value='token.issued']) button").wait_for(state="hidden")
    tab.page.locator("#find").fill("")


def allow_nothing(tab: Any) -> None:
    tab.page.get_by_role("button", name=tab.words("Allow"), exact=True).click()
    tab.page.locator("#errors").wait_for()


def allow_some(tab: Any) -> None:
    for scope in ("email:read", "email:send"):
        tab.page.locator(f"[name=scopes][value='{scope}']").check()
    tab.page.get_by_role("button", name=tab.words("Allow"), exact=True).click()
    tab.page.locator("#answer").wait_for()


def deny(tab: Any) -> None:
    tab.page.locator("button[value=deny]").click()
    tab.page.locator(".notice").wait_for()


def ask_about(tab: Any) -> None:
    allow_some(tab)
    tab.page.locator("#id_question-action").fill("mail.do")
    tab.page.get_by_role("button", name=tab.words("Ask"), exact=True).click()
    tab.page.locator("[data-announce] .pill").wait_for()


def ask_badly(tab: Any) -> None:
    allow_some(tab)
    tab.page.locator("#id_question-context").fill("[1]")
    tab.page.get_by_role("button", name=tab.words("Ask"), exact=True).click()
    tab.page.locator("#errors").wait_for()


GROUPS = [
    Group(
        "developer-agents",
        make,
        [
            "/developer/{organization}/agents",
            Page("/developer/{organization}/agents/new", preview_all, "everything ticked, a preview"),
            Page(
                "/developer/{organization}/agents/{agent}/edit",
                press_live("Save", {"#id_redirect_uris": "ftp://x"}),
                "error",
            ),
            "/developer/{organization}/agents/{agent}",
            "/developer/{organization}/agents/{agent}/credentials",
            Page(
                "/developer/{organization}/agents/{agent}/credentials/{secret}/rotate",
                press("Rotate secret"),
                "a new secret",
            ),
            "/developer/{organization}/agents/{agent}/credentials/{secret}/revoke",
            "/developer/{organization}/agents/{agent}/users",
            "/developer/{organization}/agents/{agent}/suspend",
            Page(
                "/developer/{organization}/agents/{agent}/delete",
                with_error("[name=name]", "SmartMail", "Delete agent"),
                "error",
            ),
            "/developer/{organization}/agents/{stopped}",
        ],
        [
            "/developer/{organization}/agents/{agent}/edit",
            "/developer/{organization}/agents?q=nothing",
            "/developer/{organization}/agents/{stopped}/users",
        ],
    ),
    Group(
        "developer-settings",
        make,
        ["/developer/{organization}/api-keys", "/developer/{organization}/api-keys/{key}/rotate"],
        ["/developer/{organization}/api-keys/{key}/revoke"],
    ),
    Group(
        "developer-webhooks",
        make_webhooks,
        [
            "/developer/{organization}/settings/webhooks",
            Page("/developer/{organization}/settings/webhooks/new", choose_types, "types and an example"),
            Page("/developer/{organization}/settings/webhooks/new", press("Add webhook"), "errors"),
            Page(
                "/developer/{organization}/settings/webhooks/{webhook}/rotate", press("Rotate secret"), "a new secret"
            ),
            "/developer/{organization}/settings/webhooks/{webhook}/deliveries/{delivery}",
            "/developer/{organization}/settings/webhooks/{webhook}/replay",
            "/developer/{organization}/settings/webhooks/events",
            "/developer/{organization}/settings/feed",
        ],
        [
            "/developer/{organization}/settings/webhooks/{webhook}",
            "/developer/{organization}/settings/webhooks/{webhook}/edit",
            "/developer/{organization}/settings/webhooks/{webhook}/delete",
            "/developer/{organization}/settings/webhooks/{webhook}?status=failed",
            "/developer/{organization}/settings/webhooks/events/token.verify",
        ],
    ),
    Group(
        "developer-team",
        make_team,
        [
            Page("/developer/{organization}/settings/members", send({"#id_email": "x"}, "Send invitation"), "error"),
            "/developer/{organization}/settings/members/{member}/remove",
            Page("/developer/{organization}/settings/members/{member}/secrets", press("Rotate all"), "new secrets"),
            "/developer/{organization}/settings/roles",
            "/developer/{organization}/settings/stop",
            "/developer/{organization}/settings/delete",
        ],
        [
            "/developer/{organization}/settings/members",
            "/developer/{organization}/settings/members?q=nothing",
            "/developer/{organization}/settings/members/{member}/secrets",
        ],
    ),
    Group(
        "developer-stopped",
        make_stopped,
        ["/developer/{organization}/settings", "/developer/{organization}/settings/stop"],
        ["/developer/{organization}/agents"],
    ),
    Group(
        "developer-resource-servers",
        make_servers,
        [
            "/developer/{organization}/resource-servers",
            Page("/developer/{organization}/resource-servers/new", WRONG_SERVER, "errors"),
            "/developer/{organization}/resource-servers/{server}",
            "/developer/{organization}/resource-servers/{server}/edit",
            Page("/developer/{organization}/resource-servers/{server}/rotate", press("Rotate secret"), "a new secret"),
            "/developer/{organization}/resource-servers/{server}/delete",
            "/developer/{organization}/resource-servers/{server}/scopes/tickets:read/edit",
        ],
        [
            "/developer/{organization}/resource-servers?q=nothing",
            "/developer/{organization}/resource-servers/new",
            "/developer/{organization}/resource-servers/{server}/scopes/new",
        ],
    ),
    Group(
        "developer-first-run",
        make_empty,
        [
            "/developer/{organization}/",
            "/developer/{organization}/agents",
            "/developer/new",
            Page("/developer/org_0/", status=403),
        ],
        [
            "/developer/{organization}/policies",
            "/developer/{organization}/logs",
            "/developer/{organization}/resource-servers",
        ],
    ),
    Group(
        "developer-overview",
        make_busy,
        ["/developer/{organization}/", "/developer/{organization}/agents/{agent}/quickstart"],
        ["/developer/{organization}/agents/{agent}/quickstart?language=python"],
    ),
    Group(
        "developer-trial",
        make_trials,
        [
            Page("/developer/{organization}/agents/{agent}/try?ask=email:read", allow_nothing, "nothing ticked"),
            Page("/developer/{organization}/agents/{agent}/try", ask_about, "answered"),
            "/developer/{organization}/agents/{bare}/try",
        ],
        [
            "/developer/{organization}/agents/{agent}/try",
            Page("/developer/{organization}/agents/{agent}/try", ask_badly, "error"),
            Page("/developer/{organization}/agents/{agent}/try", deny, "denied"),
        ],
    ),
    Group(
        "developer-auditor",
        make_audited,
        ["/developer/{organization}/agents/{agent}/credentials"],
        ["/developer/{organization}/settings", Page("/developer/{organization}/agents/new", status=403)],
    ),
    Group(
        "developer-domain-new", make_empty, [Page("/developer/{organization}/settings/domain", WRONG_DOMAIN, "error")]
    ),
    Group(
        "developer-domain",
        make_domain,
        [
            Page("/developer/{organization}/settings/domain", press("Ask to be verified"), "asked"),
            "/developer/{organization}/settings",
            "/developer/{organization}/settings/domain/remove",
        ],
        ["/developer/{organization}/settings/domain"],
    ),
    Group("developer-domain-missing", make_missing_domain, ["/developer/{organization}/settings/domain"]),
    Group("developer-suspended", make_suspended, [Page("/developer/{organization}/", status=403)]),
]
