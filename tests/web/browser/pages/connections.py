"""Connections, with long names and targets."""

from consent.details import AuthorizationDetail
from consent.pausing import pause_agent
from tests.web.browser.pages.group import Content, Group
from tests.web.browser.pages.samples import LONG, WIDE
from tests.world import allow, as_user, ask, make_agent, make_developer, make_user


def make() -> Content:
    ada, developer = make_user("ada@example.com", "Ada"), make_developer("dev@example.com", "Acme Robotics")
    agent = make_agent(developer, name=LONG, description="Sorts your mail. " * 5)
    targets = AuthorizationDetail(type="repository", identifiers=[LONG, WIDE])
    granted = allow(ask(agent, authorization_details=[targets]), ada)
    paused = allow(ask(make_agent(developer, name="Paused")), ada)
    pause_agent(actor=as_user(ada), consent=paused)
    other = allow(ask(agent), make_user("bob@example.com", "Bob"))
    return Content(ada.email, {"granted": granted.id, "paused": paused.id, "other": other.id})


GROUPS = [
    Group(
        "connections",
        make,
        [
            "/connections",
            "/connections?show=ended",
            "/connections/{granted}",
            "/connections/{granted}/revoke",
            "/connections/{paused}",
            "/connections/{other}",
        ],
        is_translated=False,
    ),
]
