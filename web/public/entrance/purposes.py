"""What the user confirms with a password or a passkey, and where Cancel leads."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.urls import Resolver404, ResolverMatch, resolve, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from consent.selectors import find_consent
from core.local import listed
from core.text import plain_text
from resources.catalogue import read_snapshot
from resources.risks import CRITICAL
from web.user.consent.decision import KEPT


class Door(NamedTuple):
    """A page that asks for the password. `back` is the page before it, if the page itself would ask again."""

    words: Promise
    back: str = ""


SECURITY, ACTIVITY = "web:security", "web:activity"
DOWNLOAD = Door(gettext_lazy("You are about to download your activity."), ACTIVITY)
DOORS: Mapping[str, Door] = {
    "web:approval": Door(gettext_lazy("You are about to approve a request.")),
    "web:passkey-new": Door(gettext_lazy("You are about to add a passkey."), SECURITY),
    "web:passkey-remove": Door(gettext_lazy("You are about to remove a passkey."), SECURITY),
    "web:totp-new": Door(gettext_lazy("You are about to add an authenticator app."), SECURITY),
    "web:totp-remove": Door(gettext_lazy("You are about to remove your authenticator app."), SECURITY),
    "web:recovery-codes-new": Door(gettext_lazy("You are about to create new recovery codes."), SECURITY),
    "account_email": Door(gettext_lazy("You are about to change your email address.")),
    "web:notifications": Door(gettext_lazy("You are about to change which emails you get.")),
    "web:own-data-export": Door(gettext_lazy("You are about to download your data."), "web:own-data"),
    "web:erase": Door(gettext_lazy("You are about to erase your account.")),
    "web:activity-csv": DOWNLOAD,
    "web:activity-json": DOWNLOAD,
    "web:activity-evidence": DOWNLOAD,
}


def describe(request: HttpRequest, wanted: str | None) -> dict[str, Any]:
    """Return what the user is about to do at the `wanted` page, empty if unknown, and the page to go back to."""
    match = _match(wanted)
    if match is None:
        return {"purpose": "", "back": ""}
    if match.view_name == "web:consent":
        return {"purpose": _grant(request), "back": wanted}
    door = DOORS.get(match.view_name)
    back = reverse(door.back) if door and door.back else wanted
    if match.app_name == "admin":
        back = reverse("admin:index")
    return {"purpose": door.words if door else "", "back": back}


def _match(wanted: str | None) -> ResolverMatch | None:
    try:
        return resolve(wanted.partition("?")[0]) if wanted else None
    except Resolver404:
        return None


def _grant(request: HttpRequest) -> str:
    """Return what the user is about to let an agent do, of what needs the password."""
    kept = request.session.get(KEPT) or {}
    asked = find_consent(kept.get("consent", ""))
    if asked is None:
        return ""
    chosen = [one for one in read_snapshot(asked.shown_scopes) if one.id in kept["scopes"]]
    critical = [one for one in chosen if one.risk_level == CRITICAL] or chosen
    titles = listed(plain_text(one.local_title) for one in critical)
    return _("You are about to let %(agent)s do this: %(permissions)s.") % {
        "agent": plain_text(asked.agent.name),
        "permissions": titles,
    }
