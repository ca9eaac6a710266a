"""The forms that narrow a connection, on its page and on its card. Each has a button named `change`."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from consent.delegation import MODES
from consent.narrowing import Narrowing
from consent.terms import ALLOW, ASK, DATA_FLOW, GUARD_MODES, GivenTerms
from core.errors import Invalid
from core.local import listed
from core.text import plain_text
from resources.catalogue import Scope
from web.user.connections.cards import Connection
from web.user.connections.limits.form import read_limits
from web.user.consent.form import MODE
from web.user.consent.receivers import FIELD as DELEGATION
from web.user.consent.targets import read_kept_picks

LIFETIMES: Mapping[str, tuple[timedelta, Promise]] = {
    "hour": (timedelta(hours=1), gettext_lazy("in 1 hour")),
    "day": (timedelta(days=1), gettext_lazy("in 1 day")),
    "week": (timedelta(days=7), gettext_lazy("in 7 days")),
    "month": (timedelta(days=30), gettext_lazy("in 30 days")),
}


@dataclass(frozen=True, slots=True)
class Change:
    """What a form requests: the narrowing, and the message that confirms it."""

    narrowing: Narrowing
    message: str


def read_change(posted: QueryDict, connection: Connection) -> Change:
    """Return the change that the pressed button requests. Raises `Invalid`, whose errors name the fields."""
    read = READERS.get(posted.get("change", ""))
    if read is None:
        raise Invalid(_("Choose one of the buttons."))
    return read(posted, connection)


def shorter_lifetimes(expires_at: datetime, now: datetime) -> list[tuple[str, str]]:
    """Return the earlier ends that the user can choose, with their labels."""
    return [(name, str(words)) for name, (lifetime, words) in LIFETIMES.items() if now + lifetime < expires_at]


def _read_scope(posted: QueryDict, connection: Connection) -> Change:
    """Read the mode and the limits of one scope."""
    scope = _granted(posted, connection)
    mode = posted.get(f"{MODE}{scope.id}")
    terms = GivenTerms(
        modes={scope.id: mode} if mode in (ALLOW, ASK) and _differs(mode, scope, connection) else {},
        limits=read_limits(posted, [scope], connection.terms.limits),
    )
    if not (terms.modes or terms.limits):
        return Change(Narrowing(), _("Nothing changed: %(scope)s.") % {"scope": plain_text(scope.local_title)})
    message = _("Saved. It applies from the next request: %(scope)s.") % {"scope": plain_text(scope.local_title)}
    return Change(Narrowing(terms=terms), message)


def _read_removal(posted: QueryDict, connection: Connection) -> Change:
    scope = _granted(posted, connection)
    return _removal([scope])


def _read_unused(posted: QueryDict, connection: Connection) -> Change:
    """Remove the scopes that the page listed as unused and that are still unused."""
    listed = posted.getlist("scope")
    found = [scope for scope in connection.unused if scope.id in listed]
    if not found and not any(scope.id in listed for scope in connection.granted):
        return Change(Narrowing(), _("These permissions have already been removed."))
    if not found:
        return Change(Narrowing(), _("The agent has used these permissions since, so none was removed."))
    return _removal(found)


def _read_targets(posted: QueryDict, connection: Connection) -> Change:
    picks = read_kept_picks(posted, connection.consent)
    return Change(Narrowing(targets=picks), _("Saved. The agent may act only on what is ticked."))


def _read_lifetime(posted: QueryDict, connection: Connection) -> Change:
    lifetime = LIFETIMES.get(posted.get("lifetime", ""))
    if lifetime is None:
        raise Invalid.field("lifetime", _("Choose when the access ends."))
    return Change(Narrowing(lifetime=lifetime[0]), _("Saved. The access ends earlier."))


def _read_guard(posted: QueryDict, connection: Connection) -> Change:
    mode = posted.get("guard")
    if mode not in GUARD_MODES:
        raise Invalid.field("guard", _("Choose what happens before data can leave."))
    if mode == connection.guard:
        return Change(Narrowing(), _("Nothing changed."))
    terms = GivenTerms(guards={DATA_FLOW: mode})
    return Change(Narrowing(terms=terms), _("Saved. It applies from the next request."))


def _read_delegation(posted: QueryDict, connection: Connection) -> Change:
    mode = posted.get(DELEGATION)
    if mode not in MODES:
        raise Invalid.field(DELEGATION, _("Choose to which agents it may hand work."))
    if mode == connection.consent.delegation:
        return Change(Narrowing(), _("Nothing changed."))
    return Change(Narrowing(delegation=mode), _("Saved. It applies from the next request."))


READERS: Mapping[str, Callable[[QueryDict, Connection], Change]] = {
    "scope": _read_scope,
    "remove": _read_removal,
    "unused": _read_unused,
    "targets": _read_targets,
    "lifetime": _read_lifetime,
    "guard": _read_guard,
    DELEGATION: _read_delegation,
}


def _granted(posted: QueryDict, connection: Connection) -> Scope:
    """Return the form's scope. Raises `Invalid` if it is not granted."""
    wanted = posted.get("scope")
    for scope in connection.granted:
        if scope.id == wanted:
            return scope
    raise Invalid(_("This permission is no longer allowed, so there is nothing to change."))


def _differs(mode: str, scope: Scope, connection: Connection) -> bool:
    return mode != connection.terms.modes.get(scope.id, ALLOW)


def _removal(scopes: Collection[Scope]) -> Change:
    titles = listed(plain_text(scope.local_title) for scope in scopes)
    message = _("Removed. The next request that needs it is denied: %(scopes)s.") % {"scopes": titles}
    return Change(Narrowing(remove_scopes=[scope.id for scope in scopes]), message)
