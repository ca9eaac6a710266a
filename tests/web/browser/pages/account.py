"""The account of a user, and what a user sees who has nothing yet."""

from datetime import timedelta

from allauth.account.models import EmailAddress

from accounts.models import BrowserSession, User
from accounts.reset_tokens import ResetTokens
from accounts.services import open_session
from agents.client_secrets import create_client_secret
from audit.events import Event
from audit.selectors import entries_for_user
from core import clock
from core.actor import Actor
from developers.acting import as_developer
from developers.api_keys import create_api_key
from developers.models import Organization
from developers.organizations import create_organization
from developers.roles import Role
from resources.services import register_resource_server
from tests.constants import CALLBACK, NEW_PASSWORD
from tests.web.browser.pages.group import Content, Group, Page, send, with_error
from tests.web.browser.pages.samples import LONG
from tests.world import (
    ANONYMOUS,
    allow,
    as_user,
    ask,
    make_agent,
    make_developer,
    make_invitation,
    make_user,
    make_verified,
)

PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.4 Mobile/15E148 Safari/604.1"
)
PROGRAMS = ["python-httpx/0.27", LONG, ""]


def make() -> Content:
    return Content(make_user("ada@example.com", "Ada").email)


def make_full() -> Content:
    """Make a user with addresses, connections and more sessions than fit on a page."""
    now, ada = clock.now(), make_user("ada@example.com", "Ada Lovelace")
    EmailAddress.objects.create(user=ada, email=f"ada@{LONG[:60]}.example", verified=True)
    EmailAddress.objects.create(user=ada, email="new@example.com")
    developer = make_developer("dev@example.com", "Acme Robotics")
    for name in ("SmartMail", LONG):
        allow(ask(make_agent(developer, name=name)), ada)
    for number in range(30):
        origin = Actor("anonymous", ip="2001:db8:1234:5678:9abc:def0:1234:5678", user_agent=PROGRAMS[number % 3])
        open_session(actor=origin, user=ada)
    BrowserSession.objects.create(
        session_key="phone",
        user_id=ada.id,
        user_agent=PHONE,
        ip="203.0.113.7",
        started_at=now - timedelta(days=3),
        seen_at=now,
        expire_date=now + timedelta(days=11),
    )
    BrowserSession.objects.create(session_key="old", user_id=ada.id, expire_date=now + timedelta(days=11))
    return Content(ada.email)


def make_issued() -> Content:
    """Make credentials of each kind, with long names, and a report of one that is not the user's."""
    developer = make_developer("dev@example.com", "Acme Robotics")
    actor = as_developer(ANONYMOUS, developer)
    for name in ("SmartMail", LONG):
        agent = make_agent(developer, name=name, redirect_uris=[CALLBACK, f"https://{LONG[:60]}.example/{LONG}"])
        create_client_secret(actor=actor, agent=agent, name=name)
    register_resource_server(
        actor=actor,
        organization=developer.organization,
        name=LONG,
        identifier="https://mail.example",
        scopes=["email:read"],
    )
    create_api_key(actor=actor, developer=developer, name=LONG[:100])
    made = next(one for one in entries_for_user(developer.user_id) if one.event == Event.API_KEY_CREATED)
    return Content(developer.user.email, {"entry": made.id})


def make_organizations() -> Content:
    """Make memberships and invitations, with long names and each role, and one that can only be declined."""
    user = make_verified("ada@example.com")
    acme, long = make_developer("dev@example.com", "Acme Robotics"), make_developer("long@example.com", LONG)
    User.objects.filter(pk=long.user_id).update(name=LONG)
    Organization.objects.filter(pk=acme.organization_id).update(domain="acme.example", is_verified=True)
    closed, left = (make_developer(f"{name}@example.com", f"{name} Ltd") for name in ("closed", "left"))
    ids = {
        "long": make_invitation(long, user.email, Role.OWNER).id,
        "invitation": make_invitation(acme, user.email, Role.ADMIN).id,
        "closed": make_invitation(closed, user.email, Role.AUDITOR).id,
        "replaced": make_invitation(left, user.email).id,
        "newer": make_invitation(left, user.email, Role.AUDITOR).id,
    }
    Organization.objects.filter(pk=closed.organization_id).update(suspended_at=clock.now())
    for name in ("Ada's Workshop", LONG):
        own = create_organization(actor=as_user(user), user=user, name=name)
    return Content(user.email, {**ids, "organization": own.organization_id})


def make_reset() -> Content:
    """Make credentials, and the link of a reset, which does not end them because the address is verified."""
    made = make_issued()
    EmailAddress.objects.update(verified=True)
    user = User.objects.get(email=made.email)
    return Content(ids={"key": f"{user.id}-{ResetTokens().make_token(user)}"})


GROUPS = [
    Group(
        "after-reset",
        make_reset,
        [
            Page(
                "/accounts/password/reset/key/{key}/",
                send({"#id_password1": NEW_PASSWORD, "#id_password2": NEW_PASSWORD}, "Change password"),
                "done",
                status=302,
            ),
        ],
    ),
    Group(
        "issued",
        make_issued,
        [
            "/account/credentials",
        ],
        [
            "/account/credentials?since=2999-01-01",
            Page("/account/credentials?since=", status=422, state="error"),
            "/activity/{entry}/dispute",
        ],
    ),
    Group(
        "account",
        make_full,
        [
            Page("/account", with_error("#id_time_zone", "Berln", "Save"), "error"),
            "/account/sessions",
            "/account/notifications",
            "/account/data",
            Page("/account/erase", with_error("#id_email", "x@example.com", "Erase my account and data"), "error"),
            "/accounts/email/",
            "/accounts/password/change/",
            "/accounts/logout/",
        ],
        [
            "/account",
            "/account/sessions?page=2",
            "/account/credentials",
            "/account/erase",
            "/accounts/reauthenticate/",
        ],
    ),
    Group(
        "organizations",
        make_organizations,
        [
            "/account",
            Page("/invitations/{invitation}", send({}, "Accept"), "accepted", status=200),
            "/invitations/{long}",
            "/account/organizations/{organization}/leave",
        ],
        [
            "/invitations/{closed}",
            "/invitations/{replaced}",
            Page("/invitations/inv_0000", status=404),
            Page("/invitations/{newer}", send({}, "Decline"), "declined"),
        ],
    ),
    Group(
        "first-run",
        make,
        ["/connections", "/approvals", "/activity", "/developer/"],
        ["/connections?show=ended", Page("/consent/cns_0000", status=404), "/account/sessions"],
    ),
]
