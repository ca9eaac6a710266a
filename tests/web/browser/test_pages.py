"""Every page in light and dark, narrow and wide: accessible, within its width, small, without console errors."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client

from accounts.models import User
from agents.models import Agent
from agents.services import stop_agent, update_agent
from consent.details import AuthorizationDetail
from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from consent.pausing import pause_agent
from consent.terms import GivenTerms
from core import clock
from core.actor import SYSTEM
from developers.acting import as_developer
from developers.services import suspend_organization, verify_organization
from policies.services import create_policy
from resources.custom_scopes import ScopeDefinition
from tests.approvals import EMAIL, make_approval
from tests.mails import code_in
from tests.oauth.client import make_client
from tests.world import (
    ANONYMOUS,
    PASSWORD,
    allow,
    as_user,
    ask,
    make_agent,
    make_developer,
    make_resource_server,
    make_user,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# axe describes only these.
ONLY_VIOLATIONS = {"resultTypes": ["violations"]}
LONG = "Averyveryverylongnamewithoutanyspace" * 2
RULES = [
    {"type": "rate_limit", "config": {"maxRequests": 20, "windowSeconds": 3600, "scope": "per_user"}},
    {
        "type": "time_window",
        "config": {"allowedDays": [1, 2, 3, 4, 5], "startTimeUtc": "08:00", "endTimeUtc": "18:00"},
    },
    {"type": "action_blocklist", "config": {"actions": ["payments:*"]}},
]
PUBLIC = ["/", "/scopes", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/nowhere"]
PUBLIC += ["/accounts/password/reset/done/", "/accounts/password/reset/key/done/", "/accounts/inactive/"]
PUBLIC += ["/accounts/password/reset/key/usr_0-x/", "/account/erased"]
OF_PERSON = ["/connections", "/connections?show=ended", "/activity", "/activity?outcome=denied", "/account"]
OF_PERSON += ["/accounts/email/", "/accounts/password/change/", "/accounts/logout/", "/developer/"]
OF_PERSON += ["/accounts/reauthenticate/", "/account/erase"]
OF_PERSON += ["/consent/cns_0000", "/consent/{pending}", "/consent/{decided}"]
OF_PERSON += ["/connections/{decided}", "/connections/{decided}/revoke", "/connections/{paused}"]
OF_PERSON += [
    "/approvals",
    "/approvals/{asked}",
    "/approvals/{critical}",
    "/approvals/{standing}",
    "/approvals/{lapsed}",
]
OF_PERSON += [f"/consent/{{{name}}}" for name in ("verified", "again", "stock", "suspended", "withdrawn", "elsewhere")]
OF_DEVELOPER = ["", "agents", "agents/new", "agents/{agent}", "agents/{agent}/edit", "agents/{agent}/rotate"]
OF_DEVELOPER += ["agents/{agent}/suspend", "policies", "policies/new", "policies/{policy}"]
OF_DEVELOPER += ["agents/{stopped}"]
OF_DEVELOPER += ["policies/{policy}/edit", "policies/{policy}/delete", "audit", "audit?event=x", "api-keys"]


def bound(consent: Consent, user: User) -> Consent:
    """Give the connection terms of each kind."""
    limits = {"email:send": [RULES[0], {"type": "ip_allowlist", "config": {"cidrs": ["203.0.113.0/24"]}}]}
    terms = GivenTerms(modes={"email:send": "ask"}, limits=limits, guards={"data_flow": "ask"})
    narrowing = Narrowing(terms=terms)
    return narrow_consent(actor=as_user(user), user=user, consent=consent, narrowing=narrowing)


def screens(ada) -> dict[str, str]:
    """Return the id of a request for each variant of the consent page, and for each of its errors."""
    developer = make_developer("books@example.com", "Books and Company")
    organization = developer.organization
    verify_organization(actor=SYSTEM, organization=organization, is_verified=True, reason="papers seen")
    make_resource_server(developer, "https://books.example", ScopeDefinition("books:read", "low", LONG, "See", "sell"))
    scopes = ["email:read", "email:send", "books:read"]
    agents = {name: make_agent(developer, name=name, allowed_scopes=scopes) for name in ("again", "suspended", "moved")}
    wider = {"allowed_scopes": [*scopes, "calendar:freebusy"]}
    agents["again"] = update_agent(actor=SYSTEM, agent=agents["again"], changes=wider)
    accounts = AuthorizationDetail(type="account", identifiers=[LONG, "w" * 200, "home"], actions=["email:send"])
    calendars = AuthorizationDetail(type="calendar", identifiers=["home", LONG], actions=["calendar:freebusy"])
    asked = ask(agents["again"], scopes=["email:send", "calendar:freebusy"], authorization_details=[calendars])
    bound(allow(asked, ada), ada)
    metadata = {
        "client_name": LONG,
        "redirect_uris": ["http://localhost/callback"],
        "token_endpoint_auth_method": "none",
    }
    client_id = Client().post("/oauth/register", metadata, content_type="application/json").json()["client_id"]
    stock = Agent.objects.get(client_id=client_id)
    started = make_client(developer).authorize(Client())["Location"]
    found = {
        "verified": ask(make_agent(developer, description=LONG, allowed_scopes=scopes), scopes=scopes, reason=LONG).id,
        "again": ask(agents["again"], scopes=scopes, authorization_details=[accounts]).id,
        "stock": ask(stock, redirect_uri="http://localhost:4444/callback", code_challenge="x" * 43).id,
        "suspended": ask(agents["suspended"]).id,
        "withdrawn": ask(agents["moved"]).id,
        "elsewhere": started.rpartition("/")[2],
    }
    stop_agent(actor=SYSTEM, agent=agents["suspended"], reason="spam")
    update_agent(actor=SYSTEM, agent=agents["moved"], changes={"redirect_uris": ["https://moved.example/"]})
    return found


def approvals(granted) -> dict[str, str]:
    """Return the id of an approval for each variant of its page. Some others are held back."""
    content = {**EMAIL, "text": f"{LONG * 5}\n" * 3, "diff": "-a\n+b", LONG: {"list": [LONG, 1]}}
    content |= {"amount": {"value": "12.50", "currency": "EUR"}, "recipient": f"{LONG}@example.com"}
    end = clock.now()
    for _ in range(2):
        make_approval(granted, is_held=True, context=content)
    return {
        "asked": make_approval(granted, context=content, resource=f"https://example.com/{LONG}").id,
        "critical": make_approval(granted, is_critical=True).id,
        "standing": make_approval(granted, status="approved", is_standing=True, decided_at=end).id,
        "lapsed": make_approval(granted, expires_at=end).id,
    }


@pytest.fixture
def places(db):
    """Return the paths of all pages, with content, by the user who may open them."""
    ada, developer = make_user("ada@example.com", "Ada"), make_developer("dev@example.com", "Acme Robotics")
    agent = make_agent(developer, name=LONG, description="Sorts your mail. " * 5)
    local = make_agent(developer, redirect_uris=["http://localhost/cb"])
    actor = as_developer(ANONYMOUS, developer)
    policy = create_policy(actor=actor, organization=developer.organization, name=LONG, rules=RULES)
    stopped = make_agent(developer, name="Stopped")
    stop_agent(actor=SYSTEM, agent=stopped, reason="w" * 200)
    closed = make_developer("closed@example.com", LONG)
    suspend_organization(actor=SYSTEM, organization=closed.organization, reason="w" * 200)
    pending = ask(
        local,
        redirect_uri="http://localhost:4444/cb",
        scopes=["email:read", "email:send", "calendar:freebusy"],
        optional_scopes=["payments:charge"],
        reason="w" * 200,
    )
    targets = AuthorizationDetail(type="repository", identifiers=[LONG, "w" * 200])
    granted = allow(ask(agent, authorization_details=[targets]), ada)
    paused = allow(ask(make_agent(developer, name="Paused")), ada)
    pause_agent(actor=as_user(ada), consent=paused)
    names = {
        "paused": paused.id,
        **screens(ada),
        **approvals(granted),
        "pending": pending.id,
        "decided": granted.id,
        "agent": agent.id,
        "stopped": stopped.id,
        "policy": policy.id,
    }
    return {
        None: PUBLIC,
        ada.email: [path.format(**names) for path in OF_PERSON],
        developer.user.email: [f"/developer/{path.format(**names)}" for path in OF_DEVELOPER],
        closed.user.email: ["/developer/"],
    }


def problems_on(tab, path: str, width: int) -> list[str]:
    """Return a sentence for each problem of the page."""
    answer = tab.goto(path)
    if answer.status >= 500:
        return [f"{path}: status {answer.status}"]
    found = []
    scroll = tab.page.evaluate("document.documentElement.scrollWidth")
    if scroll > width:
        found.append(f"{path}: {scroll} px wide in {width}")
    found += [f"{path}: {violation}" for violation in violations(tab)]
    small = tab.page.evaluate(
        """[...document.querySelectorAll("a, button, input, select, textarea, summary")].filter(e => {
            const box = e.getBoundingClientRect(), line = getComputedStyle(e).display === "inline";
            return box.width && !line && !e.matches(".skip, [tabindex='-1']") && Math.min(box.width, box.height) < 24;
        }).map(e => e.outerHTML.slice(0, 120))"""
    )
    return [*found, *(f"{path}: target below 24 px: {html}" for html in small)]


def problems_in_both_schemes(tab, path: str, width: int) -> list[str]:
    """Return a sentence for each problem of the page in light mode, and of its colours in dark mode."""
    found = problems_on(tab, path, width)
    tab.page.emulate_media(color_scheme="dark", reduced_motion="reduce")  # else the colours are still changing
    found += [f"{path}, dark: {violation}" for violation in colour_violations(tab)]
    tab.page.emulate_media(color_scheme="light")
    return found


def violations(tab) -> list[str]:
    """Return the accessibility rules that the page breaks, each with an element."""
    return described(Axe().run(tab.page, options=ONLY_VIOLATIONS).response["violations"])


def colour_violations(tab) -> list[str]:
    """Return the elements whose colours are too close. axe must have run on the page."""
    options = {"runOnly": ["color-contrast"], **ONLY_VIOLATIONS}
    return described(tab.page.evaluate("options => axe.run(document, options)", options)["violations"])


def described(found) -> list[str]:
    return [f"{violation['id']}: {violation['nodes'][0]['html']}" for violation in found]


def visit_all(open_tab, places, width: int) -> list[str]:
    found = []
    for email, paths in places.items():
        tab = open_tab(width=width, javascript=True)
        if email:
            tab.goto("/accounts/login/")
            tab.sign_in(email, PASSWORD)
        for path in paths:
            found += problems_in_both_schemes(tab, path, width)
    return found


@pytest.mark.parametrize("width", [320, 1280])
def test_no_page_has_an_accessibility_violation_or_scrolls_sideways(open_tab, places, width):
    assert visit_all(open_tab, places, width) == []


@pytest.mark.parametrize("width", [320, 1280])
def test_the_pages_for_codes_are_accessible(open_tab, mails, settings, width):
    settings.REQUIRE_VERIFIED_EMAIL = True
    tab = open_tab(width=width, javascript=True)
    tab.goto("/accounts/signup/")
    tab.page.get_by_label("Email").fill("new@example.com")
    tab.page.get_by_label("Password").fill(PASSWORD)
    tab.page.get_by_role("button", name="Create account").click()
    tab.page.get_by_role("heading", name="Check your email").wait_for()
    found = problems_in_both_schemes(tab, "/accounts/signup/confirm/", width)
    tab.page.get_by_label("Code").fill("00000-00000")
    tab.page.get_by_role("button", name="Create account").click()
    tab.page.get_by_text("Please correct the following").wait_for()
    tab.page.get_by_label("Code").fill(code_in(mails[-1]))
    tab.page.get_by_role("button", name="Create account").click()
    tab.page.get_by_text("No connections").wait_for()
    tab.goto("/accounts/email/")
    tab.page.get_by_label("Email").fill("second@example.com")
    tab.page.get_by_role("button", name="Send a code").click()
    found += problems_in_both_schemes(tab, "/accounts/email/confirm/", width)
    tab.page.get_by_label("Code").fill(code_in(mails[-1]))
    tab.page.get_by_role("button", name="Confirm address").click()
    tab.page.get_by_text("second@example.com is confirmed.").wait_for()
    assert found + problems_in_both_schemes(tab, "/accounts/email/", width) == []


def test_no_page_breaks_from_right_to_left(open_tab, places, settings):
    settings.LANGUAGES = [("ar", "Arabic")]
    settings.LANGUAGE_CODE = "ar"
    found = []
    for width in (320, 1280):
        tab = open_tab(width=width, javascript=True, locale="ar")
        for path in reversed(PUBLIC):
            found += problems_on(tab, path, width)
        assert tab.page.evaluate("document.dir") == "rtl"
    assert found == []


def test_the_consent_page_with_its_resources_is_smaller_than_80_kilobytes(open_tab, places):
    tab = open_tab()
    weights = []
    (email, paths) = list(places.items())[1]
    tab.goto("/accounts/login/")
    tab.sign_in(email, PASSWORD)
    tab.page.on("response", lambda response: weights.append(len(response.body())))
    tab.goto(next(path for path in paths if path.startswith("/consent/cns_0") and path != "/consent/cns_0000"))
    tab.page.wait_for_load_state("networkidle")
    assert len(weights) > 5
    assert sum(weights) < 80_000


def test_the_gauge_can_be_read_in_forced_colours(open_tab, db):
    tab = open_tab(javascript=True, forced_colors="active")
    tab.goto("/scopes")
    colour = "e => getComputedStyle(e).backgroundColor"
    lit = tab.page.locator(".gauge__bar--on").first.evaluate(colour)
    assert lit != tab.page.locator(".gauge__bar:not(.gauge__bar--on)").first.evaluate(colour)


def test_text_at_twice_the_size_does_not_scroll_sideways(open_tab, db):
    tab = open_tab(width=640, javascript=True)
    for path in PUBLIC:
        tab.goto(path)
        tab.page.evaluate("document.documentElement.style.setProperty('font-size', '200%')")
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 640
