"""Account > Security with its forms, and the sign-in on the way to a consent page."""

from datetime import timedelta
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.utils import encrypt

from accounts.models import User
from accounts.reset_tokens import ResetTokens
from accounts.second_factors import add_passkey
from core import clock
from core.actor import SYSTEM
from developers.services import verify_organization
from tests.constants import PASSWORD
from tests.web.browser.pages.group import Content, Group, Page, press, send
from tests.web.browser.pages.samples import LONG
from tests.world import as_user, ask, make_agent, make_developer, make_user

SECURITY = "/account/security"
BY_APP = {"#id_login": "acme@example.com", "#id_password": PASSWORD}


def make() -> Content:
    return Content(make_user("ada@example.com", "Ada").email)


def protect(tab: Any) -> None:
    """Add passkeys with a short and a long name, an app, and recovery codes of which two are left."""
    ada = User.objects.get()
    for number, name in enumerate(("Phone", LONG[:60])):
        credential = {"rawId": str(number), "id": str(number), "response": {}, "type": "public-key"}
        add_passkey(actor=as_user(ada), user=ada, name=name, credential=credential)
    tab.become(ada.email)  # since the first passkey ends all other sessions
    Authenticator.objects.create(user=ada, type="totp", data={"secret": encrypt("A" * 32)})
    codes = {"seed": encrypt("0" * 80), "used_mask": 0b11_1111_1100}
    Authenticator.objects.filter(type="recovery_codes").update(data=codes)
    Authenticator.objects.filter(data__name="Phone").update(last_used_at=clock.now() - timedelta(hours=2))
    tab.page.reload()


def follow(position: int) -> Any:
    """Return an `act` that opens one of the links called "Remove"."""

    def act(tab: Any) -> None:
        with tab.page.expect_navigation():
            tab.page.locator(".factor a").nth(position).click()

    return act


def wrong_code(tab: Any) -> None:
    tab.page.locator("input[name=code]").fill("000000")
    press("Turn on")(tab)


def make_waiting() -> Content:
    developer = make_developer("books@example.com", LONG)
    unverified = ask(make_agent(developer, name=LONG))
    other = make_developer("acme@example.com", "Acme Robotics")
    verify_organization(actor=SYSTEM, organization=other.organization, is_verified=True, reason="papers seen")
    Authenticator.objects.create(user=other.user, type="totp", data={"secret": encrypt("A" * 32)})
    key = f"{other.user.id}-{ResetTokens().make_token(other.user)}"
    return Content(ids={"long": unverified.id, "verified": ask(make_agent(other)).id, "key": key})


GROUPS = [
    Group("security-new", make, [], [SECURITY, f"{SECURITY}/app/new"]),
    Group(
        "security",
        make,
        [
            f"{SECURITY}/passkeys/new",
            Page(f"{SECURITY}/app/new", wrong_code, "wrong code"),
            Page(SECURITY, protect, "protected"),
            Page(SECURITY, follow(0), "removing a passkey"),
            f"{SECURITY}/codes/new",
            "/accounts/reauthenticate/",
        ],
        [Page(SECURITY, follow(2), "removing the app")],
    ),
    Group(
        "waiting",
        make_waiting,
        [
            "/accounts/login/?next=/consent/{long}",
            "/accounts/signup/?next=/consent/{long}",
            Page("/accounts/password/reset/key/{key}/", status=302),
            Page("/accounts/login/?next=/consent/{long}", send(BY_APP, "Sign in"), "second step"),
        ],
    ),
    # The state "second step" above would redirect it, so it is in a group of its own.
    Group("waiting-verified", make_waiting, [], ["/accounts/login/?next=/consent/{verified}"]),
]
