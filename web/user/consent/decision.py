"""What the user chose on the consent screen: read from its form, and kept while they enter their password."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from consent.connections import CONSENT_LIFETIME
from consent.connections import Choice as Decision
from consent.models import Consent
from consent.selectors import connection_state
from consent.targets import Pick
from consent.terms import ALLOW, DATA_FLOW, GivenTerms
from core.errors import Invalid
from core.formats import short_day
from web.user.connections.limits.form import read_limits
from web.user.connections.limits.parsing import LIMIT
from web.user.consent.form import MODE, UNTOUCHED, Screen
from web.user.consent.receivers import read_receivers
from web.user.consent.targets import read_picks

KEPT = "kept_consent_form"
AS_NOW = "as-now"
LIFETIMES = {
    timedelta(hours=1): gettext_lazy("In 1 hour"),
    timedelta(days=1): gettext_lazy("In 1 day (%(date)s)"),
    timedelta(days=30): gettext_lazy("In 30 days (%(date)s)"),
    timedelta(days=90): gettext_lazy("In 90 days (%(date)s)"),
}


def lifetimes(now: datetime, live: Consent | None, given: Decision | None) -> list[dict[str, Any]]:
    """Return the ends that the page offers. A connection keeps its end unless the user chooses another one."""
    preselected = None if live else CONSENT_LIFETIME
    chosen = given.lifetime if given else preselected
    offered = [
        {"value": _seconds(one), "words": words % {"date": short_day(now + one)}, "is_chosen": one == chosen}
        for one, words in LIFETIMES.items()
    ]
    if live is None:
        return offered
    as_before = _("As before (%(date)s)") % {"date": short_day(live.expires_at)}
    return [{"value": AS_NOW, "words": as_before, "is_chosen": chosen is None}, *offered]


def read_decision(form: QueryDict, screen: Screen, scopes: Sequence[str]) -> Decision:
    """Return what the user chose, without limits. A mode missing from the form is the preselected one.

    Raises `Invalid`.
    """
    modes = {scope: form.get(f"{MODE}{scope}") or _unsaid_mode(screen, scope) for scope in scopes}
    guards = {DATA_FLOW: form.get("guard") or ALLOW} if "guard_offered" in form else {}
    return Decision(
        scopes=scopes,
        is_whole=True,
        targets=read_picks(form, screen.asked),
        shown_state=form.get("connection"),
        terms=GivenTerms(modes={scope: mode for scope, mode in modes.items() if mode}, guards=guards),
        lifetime=_lifetime(form.get("lifetime"), screen),
        delegation=read_receivers(form, screen.receivers(UNTOUCHED), screen.shown),
    )


def with_limits(decision: Decision, form: QueryDict, screen: Screen) -> Decision:
    """Return the decision with the limits from the form. Raises `Invalid`, which names the fields."""
    scopes = [screen.words[scope] for scope in decision.scopes or () if scope in screen.words]
    limits = read_limits(form, scopes, screen.terms.limits, may_widen=True)
    return replace(decision, terms=replace(decision.terms, limits=limits))


def is_about_limits(error: Invalid) -> bool:
    """Return whether the error is only about limits, which the user can correct on the page."""
    return bool(error.errors) and all(one.field.startswith(LIMIT) for one in error.errors)


def keep_decision(request: HttpRequest, asked: Consent, decision: Decision) -> None:
    """Keep what the user chose while they enter their password, if the decision is otherwise valid."""
    request.session[KEPT] = {
        "consent": asked.id,
        "shown": decision.shown_state,
        "scopes": list(decision.scopes or ()),
        "targets": [asdict(pick) for pick in decision.targets or ()],
        "modes": dict(decision.terms.modes),
        "limits": {scope: list(rules) for scope, rules in decision.terms.limits.items()},
        "guards": dict(decision.terms.guards),
        "seconds": decision.lifetime.total_seconds() if decision.lifetime else None,
        "delegation": decision.delegation,
    }


def kept_decision(request: HttpRequest, screen: Screen) -> Decision | None:
    """Return what the user chose before they entered their password, or None.

    If the connection has changed since, the user chooses again.
    """
    kept = request.session.get(KEPT)
    if kept is None or kept["consent"] != screen.asked.id:
        return None
    if kept.get("shown") not in (None, connection_state(screen.live)):
        return None
    return Decision(
        scopes=kept["scopes"],
        targets=[Pick(**pick) for pick in kept["targets"]],
        terms=GivenTerms(modes=kept["modes"], limits=kept["limits"], guards=kept["guards"]),
        lifetime=None if kept["seconds"] is None else timedelta(seconds=kept["seconds"]),
        delegation=kept.get("delegation"),
    )


def forget_decision(request: HttpRequest) -> None:
    request.session.pop(KEPT, None)


def _unsaid_mode(screen: Screen, scope: str) -> str | None:
    return None if scope in screen.known else screen.mode_of(scope)


def _lifetime(sent: str | None, screen: Screen) -> timedelta | None:
    """Return how long the connection lasts. None means until its current end."""
    if screen.live and sent in (None, AS_NOW):
        return None
    if sent is None:
        return CONSENT_LIFETIME
    for lifetime in LIFETIMES:
        if sent == _seconds(lifetime):
            return lifetime
    raise Invalid.field("lifetime", _("Choose when the access ends."))


def _seconds(lifetime: timedelta) -> str:
    return str(int(lifetime.total_seconds()))
