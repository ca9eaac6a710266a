"""What users choose about their account: their name, time zone, language and theme, and which emails they get."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_noop

from accounts.models import User
from accounts.notices import add_notice
from accounts.recent import require_recent_sign_in
from accounts.services import hold_account
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core import clock
from core.actor import Actor
from core.errors import Invalid
from core.languages import is_offered
from core.zones import find_zone

# The fields that switch emails on and off, and their names in the log.
MAILS = {"approval_mails": "approvalMails", "grant_mails": "grantMails", "device_mails": "deviceMails"}
# Those that warn of an intruder.
WARNINGS = ("grant_mails", "device_mails")

# Blank is the browser's.
THEMES = ("", "light", "dark")


@transaction.atomic
def change_profile(
    *, actor: Actor, user: User, name: str | None = None, time_zone: str | None = None, language: str | None = None
) -> None:
    """Set what is given. A blank time zone or language is the browser's. Raises `Invalid` and `NotAuthenticated`."""
    if time_zone and find_zone(time_zone) is None:
        raise Invalid.field("time_zone", gettext_noop("Must be the name of a time zone, such as Europe/Berlin."))
    if language and not is_offered(language):
        raise Invalid.field("language", gettext_noop("Must be one of the languages of this server."))
    wanted = {"name": name, "time_zone": time_zone, "language": language}
    changed = _set(user, {field: value for field, value in wanted.items() if value is not None})
    if changed:
        metadata = {"fields": sorted(changed)}
        record(Draft(event=Event.USER_PROFILE_CHANGED, actor=actor, user_id=user.id, metadata=metadata))


@transaction.atomic
def choose_theme(*, user: User, theme: str) -> None:
    """Set the user's theme, one of `THEMES`. It is not logged: it changes only colors. Raises `NotAuthenticated`."""
    _set(user, {"theme": theme})


@transaction.atomic
def choose_mails(*, actor: Actor, user: User, wanted: Mapping[str, bool], signed_in_at: datetime | None = None) -> None:
    """Set which emails the user gets: `wanted` maps fields of `MAILS` to true or false.

    Raises `NotAuthenticated`, and `ReauthenticationRequired` if an email that warns of an intruder is switched off and
    `signed_in_at` is not recent. An email tells the user that it was switched off.
    """
    changed = _set(user, wanted)
    ended = [name for name in WARNINGS if changed.get(name) is False]
    if ended:
        require_recent_sign_in(signed_in_at)
    for name in ended:
        add_notice("security_changed", user=user, actor=actor, at=clock.now(), facts={"change": name})
    if changed:
        metadata = {MAILS[name]: value for name, value in changed.items()}
        record(Draft(event=Event.USER_MAILS_CHANGED, actor=actor, user_id=user.id, metadata=metadata))


def _set(user: User, values: Mapping[str, Any]) -> dict[str, Any]:
    """Store the values that changed, and return them."""
    held = hold_account(user)
    changed = {name: value for name, value in values.items() if getattr(held, name) != value}
    if changed:
        User.objects.filter(pk=held.pk).update(**changed)
    return changed
