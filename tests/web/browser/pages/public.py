"""Pages that anyone can open."""

from typing import Any

from resources.custom_scopes import ScopeDefinition
from tests.web.browser.pages.group import Content, Group, Page, nothing, press, send
from tests.world import make_agent, make_developer, make_resource_server

DEMO = "scopes=email:read&scopes=email:send&scopes=payments:charge&guard_offered=yes"

PUBLIC = [
    "/",
    f"/?decision=allow&{DEMO}&mode-email:send=allow",
    Page(f"/?decision=allow&{DEMO}&limit-amount-payments:charge=lots&limit-period-payments:charge=86400", status=422),
    "/scopes",
    Page("/oauth/authorize?client_id=nobody&response_type=code", status=400),
    Page(
        "/accounts/login/", send({"#id_login": "ada@example.com", "#id_password": "wrong"}, "Sign in"), "wrong password"
    ),
    "/accounts/signup/",
    "/accounts/password/reset/",
    "/accounts/password/reset/key/usr_0-x/",
    "/accounts/inactive/",
    "/account/erased",
    Page("/nowhere", status=404),
]

FURTHER = [
    f"/?decision=off&{DEMO}",
    "/?decision=deny",
    Page("/?decision=allow&guard_offered=yes", status=422),
    "/accounts/login/",
    "/accounts/password/reset/done/",
    "/accounts/password/reset/key/done/",
]


def make_agent_page() -> Content:
    """Make an agent with permissions of all risks, of the catalogue and its developer's own, for a visitor."""
    developer = make_developer("dev@example.com", "Acme Robotics")
    own = ScopeDefinition("acme:books", "standard", "See your books", "See titles", "change them")
    make_resource_server(developer, "https://books.example", own)
    scopes = ["email:read", "email:send", "payments:charge", "acme:books"]
    return Content(email="dev@example.com", ids={"agent": make_agent(developer, allowed_scopes=scopes).id})


def report(tab: Any) -> None:
    tab.page.locator("[value=other]").check()
    press("Send report")(tab)


GROUPS = [
    Group("public", nothing, PUBLIC, FURTHER),
    Group(
        "agents",
        make_agent_page,
        [
            "/agents/{agent}",
            Page("/agents/{agent}/report", press("Send report"), "with errors"),
        ],
        [Page("/agents/{agent}/report", report, "reported")],
    ),
]
