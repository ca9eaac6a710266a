"""The consent page in each of its variants, and its errors."""

from functools import partial
from typing import Any

from django.test import Client

from accounts.models import User
from agents.images import MAX_BYTES
from agents.logos import FetchedLogo, save_logo
from agents.models import Agent
from agents.services import stop_agent, update_agent
from consent.details import AuthorizationDetail
from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from consent.terms import GivenTerms
from core import clock
from core.actor import SYSTEM
from developers.models import Developer, Organization
from developers.services import verify_organization
from resources.catalogue import catalogue
from resources.custom_scopes import ScopeDefinition
from tests.oauth.client import make_client
from tests.pictures import heavy_png
from tests.web.browser.pages.group import CONSENT_LIMIT, Content, Group, Page, press
from tests.web.browser.pages.samples import LONG, RULES, WIDE, foreign_service
from tests.world import allow, as_user, ask, make_agent, make_developer, make_resource_server, make_user

SCOPES = ["email:read", "email:send", "books:read"]
REFUSED = {"decided": 409, "suspended": 403, "withdrawn": 400, "expired": 410, "foreign": 404}


def make() -> Content:
    ada = make_user("ada@example.com", "Ada")
    developer = make_developer("books@example.com", "Books and Company")
    verify_organization(actor=SYSTEM, organization=developer.organization, is_verified=True, reason="papers seen")
    Organization.objects.filter(pk=developer.organization_id).update(domain="books-and-company.com")
    make_resource_server(developer, "https://books.example", ScopeDefinition("books:read", "low", LONG, "See", "sell"))
    verified = make_agent(developer, description=LONG, allowed_scopes=SCOPES)
    links = {"homepage_url": "https://books.example/", "privacy_url": f"https://{LONG[:60].lower()}.example/privacy"}
    update_agent(actor=SYSTEM, agent=verified, changes=links)
    save_logo(
        actor=SYSTEM, agent=verified, logo=FetchedLogo("https://books.example/l.png", heavy_png(MAX_BYTES), "image/png")
    )
    consents = {
        "pending": pending(developer, foreign_service()),
        "decided": allow(ask(make_agent(developer)), ada),
        "verified": ask(verified, scopes=SCOPES, reason=LONG, resource=["https://books.example"]),
        "again": again(developer, ada),
        "stock": stock(),
        "suspended": suspended(developer),
        "withdrawn": withdrawn(developer),
        "expired": expired(verified),
        "app": app(developer),
        "refused": app(developer),
        "foreign": ask(verified, user_id=developer.user.id),
    }
    ids = {name: consent.id for name, consent in consents.items()}
    return Content(ada.email, {**ids, "elsewhere": elsewhere(developer), "unknown": unknown().client_id})


def pending(developer: Developer, service: str) -> Consent:
    """Return a request of a program on the user's own computer, for scopes of all risks and two services."""
    return ask(
        make_agent(developer, redirect_uris=["http://localhost/cb"]),
        redirect_uri="http://localhost:4444/cb",
        scopes=["email:read", "email:send", "calendar:freebusy"],
        optional_scopes=["payments:charge"],
        reason=WIDE,
        resource=["https://books.example", service],
    )


def again(developer: Developer, user: User) -> Consent:
    """Return a later request of an agent that the user already allowed some scopes on terms of each kind."""
    agent = make_agent(developer, name="again", allowed_scopes=[*SCOPES, "calendar:freebusy", "agents:delegate"])
    calendars = AuthorizationDetail(type="calendar", identifiers=["home", LONG], actions=["calendar:freebusy"])
    earlier = allow(ask(agent, scopes=["email:send", "calendar:freebusy"], authorization_details=[calendars]), user)
    limits = {"email:send": [RULES[0], {"type": "ip_allowlist", "config": {"cidrs": ["203.0.113.0/24"]}}]}
    terms = GivenTerms(modes={"email:send": "ask"}, limits=limits, guards={"data_flow": "ask"})
    narrow_consent(actor=as_user(user), user=user, consent=earlier, narrowing=Narrowing(terms=terms))
    accounts = AuthorizationDetail(type="account", identifiers=[LONG, WIDE, "home"], actions=["email:send"])
    return ask(agent, scopes=[*SCOPES, "agents:delegate"], authorization_details=[accounts])


def stock() -> Consent:
    """Return a request of a client that registered itself."""
    metadata = {
        "client_name": LONG,
        "redirect_uris": ["http://localhost/callback"],
        "token_endpoint_auth_method": "none",
    }
    client_id = Client().post("/oauth/register", metadata, content_type="application/json").json()["client_id"]
    agent = Agent.objects.get(client_id=client_id)
    return ask(agent, redirect_uri="http://localhost:4444/callback", code_challenge="x" * 43)


def unknown() -> Agent:
    """Return an agent of an organization that is not verified."""
    host = f"{LONG[:60].lower()}.example"
    return make_agent(make_developer("unknown@example.com"), redirect_uris=[f"https://{host}/callback"])


def app(developer: Developer) -> Consent:
    """Return a request of an app on the user's device."""
    agent = make_agent(developer, name=WIDE, redirect_uris=["com.example.app:/cb"])
    return ask(agent, redirect_uri="com.example.app:/cb")


def suspended(developer: Developer) -> Consent:
    """Return a request whose agent an administrator then stopped."""
    agent = make_agent(developer, name="suspended")
    consent = ask(agent)
    stop_agent(actor=SYSTEM, agent=agent, reason="spam")
    return consent


def withdrawn(developer: Developer) -> Consent:
    """Return a request whose redirect URI the agent no longer has."""
    agent = make_agent(developer, name="moved")
    consent = ask(agent)
    update_agent(actor=SYSTEM, agent=agent, changes={"redirect_uris": ["https://moved.example/"]})
    return consent


def expired(agent: Agent) -> Consent:
    """Return a request that was not decided in time."""
    consent = ask(agent)
    Consent.objects.filter(pk=consent.pk).update(expires_at=clock.now())
    return consent


def elsewhere(developer: Developer) -> str:
    """Return the id of a request that another browser started."""
    return make_client(developer).authorize(Client())["Location"].rpartition("/")[2]


def make_long() -> Content:
    """Make requests for all scopes of the catalogue, and for 200 of an organization's own."""
    ada = make_user("ada@example.com", "Ada")
    developer = make_developer("books@example.com", "Books and Company")
    verify_organization(actor=SYSTEM, organization=developer.organization, is_verified=True, reason="papers seen")
    own = [ScopeDefinition(f"books:s{number}", "high", f"Read shelf {number}", "See", "sell") for number in range(200)]
    for number in (0, 100):  # a service has at most 100
        make_resource_server(developer, f"https://books{number}.example", *own[number : number + 100])
    scopes = {"catalogue": list(catalogue()), "shelves": [scope.id for scope in own]}
    asked = {
        name: ask(make_agent(developer, name=name, allowed_scopes=ids), scopes=ids) for name, ids in scopes.items()
    }
    return Content(ada.email, {name: consent.id for name, consent in asked.items()})


def allow_on_page(tab: Any) -> None:
    with tab.page.expect_navigation():
        tab.page.locator(".bar [value=allow]").click()
    tab.page.locator("#errors").wait_for()


def wrong_limit(tab: Any) -> None:
    tab.page.evaluate("document.querySelectorAll('main details').forEach(each => { each.open = true })")
    tab.page.locator("[name=scopes][value='email:send']").check()
    tab.page.locator("[name='limit-number-email:send']").fill("many")
    allow_on_page(tab)


def pick_nothing(tab: Any) -> None:
    tab.page.locator("[name=scopes][value='email:send']").check()
    tab.page.evaluate("document.querySelectorAll('.target input').forEach(each => { each.checked = false })")
    allow_on_page(tab)


def change_meanwhile(tab: Any) -> None:
    """Let the user narrow the connection elsewhere while the page is open."""
    earlier = Consent.objects.get(agent__name="again", status=Consent.Status.APPROVED)
    narrowing = Narrowing(remove_scopes=("calendar:freebusy",))
    narrow_consent(actor=as_user(earlier.user), user=earlier.user, consent=earlier, narrowing=narrowing)
    allow_on_page(tab)


small = partial(Page, limit=CONSENT_LIMIT, counts_scripts=False)

GROUPS = [
    Group(
        "consent",
        make,
        [
            *(small(f"/consent/{{{name}}}") for name in ("pending", "verified", "again", "stock")),
            small("/consent/{pending}", wrong_limit, "a wrong limit"),
        ],
        [
            small("/consent/{again}", pick_nothing, "no target"),
            small("/consent/{again}", change_meanwhile, "changed meanwhile"),
        ],
    ),
    Group(
        "consent-ends",
        make,
        [
            Page("/consent/{elsewhere}", status=403),
            Page("/consent/{app}", press("Allow"), "allowed"),
        ],
        [
            *(Page(f"/consent/{{{name}}}", status=status) for name, status in REFUSED.items()),
            Page("/oauth/authorize?client_id={unknown}&response_type=token", status=400),
            Page("/consent/{refused}", press("Don\N{RIGHT SINGLE QUOTATION MARK}t allow"), "not allowed"),
        ],
    ),
    Group("consent-long", make_long, ["/consent/{catalogue}"], [Page("/consent/{shelves}", limit=400_000)]),
]
