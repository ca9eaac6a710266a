"""The account of a user, and what a user sees who has nothing yet."""

from tests.web.browser.pages.group import Content, Group
from tests.world import make_user


def make() -> Content:
    return Content(make_user("ada@example.com", "Ada").email)


GROUPS = [
    Group(
        "account",
        make,
        [
            "/account",
            "/account/erase",
            "/accounts/email/",
            "/accounts/password/change/",
            "/accounts/reauthenticate/",
            "/accounts/logout/",
        ],
        is_translated=False,
    ),
    Group(
        "first-run",
        make,
        ["/connections", "/connections?show=ended", "/approvals", "/activity", "/developer/", "/consent/cns_0000"],
    ),
]
