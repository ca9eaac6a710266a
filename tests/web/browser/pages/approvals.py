"""Approvals: open, held back, decided and lapsed."""

from core import clock
from tests.approvals import EMAIL, make_approval
from tests.web.browser.pages.group import Content, Group
from tests.web.browser.pages.samples import LONG
from tests.world import allow, ask, make_agent, make_developer, make_user


def make() -> Content:
    ada = make_user("ada@example.com", "Ada")
    granted = allow(ask(make_agent(make_developer("dev@example.com", "Acme Robotics"), name=LONG)), ada)
    content = {**EMAIL, "text": f"{LONG * 5}\n" * 3, "diff": "-a\n+b", LONG: {"list": [LONG, 1]}}
    content |= {"amount": {"value": "12.50", "currency": "EUR"}, "recipient": f"{LONG}@example.com"}
    end = clock.now()
    for _ in range(2):
        make_approval(granted, is_held=True, context=content)
    ids = {
        "asked": make_approval(granted, context=content, resource=f"https://example.com/{LONG}").id,
        "critical": make_approval(granted, is_critical=True).id,
        "standing": make_approval(granted, status="approved", is_standing=True, decided_at=end).id,
        "lapsed": make_approval(granted, expires_at=end).id,
    }
    return Content(ada.email, ids)


GROUPS = [
    Group(
        "approvals",
        make,
        [
            "/approvals",
            "/approvals/{asked}",
            "/approvals/{critical}",
            "/approvals/{standing}",
            "/approvals/{lapsed}",
        ],
        is_translated=False,
    )
]
