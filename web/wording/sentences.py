"""The audit log for users: one sentence per entry."""

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit.events import Event, Outcome
from core.local import listed
from decisions.requests import Reason
from decisions.wording import asks_user, cause_of, explain_denial, sentence_of

# What a later decision about a connected agent changed.
CONNECTION_CHANGED = gettext_lazy("You changed what %(agent)s may do.")
CONNECTION_CONFIRMED = gettext_lazy("You allowed %(agent)s to keep the same access: %(scopes)s.")
LONGER = gettext_lazy("The access ends later than before.")
ADDED = gettext_lazy("Added: %(scopes)s.")
REWORDED = gettext_lazy("Allowed again with a new description: %(scopes)s.")
REMOVED = gettext_lazy("Removed: %(scopes)s.")
WITHDRAWN = gettext_lazy("Removed by its developer: %(scopes)s.")
DEVELOPERS_POLICY = gettext_lazy("A policy of its developer denied this: %(policy)s.")
SERVICES_POLICY = gettext_lazy("A policy of the service denied this: %(policy)s.")
# Actors other than the user.
ACTORS = {
    "developer": gettext_lazy("The developer"),
    "agent": gettext_lazy("The agent"),
    "service": gettext_lazy("A service"),
    "administrator": gettext_lazy("An administrator"),
    "system": gettext_lazy("This server"),
}
# Markup that sets names chosen by others apart from our own words.
MARKS = {
    "agent": '<bdi class="named">{}</bdi>',
    "policy": '<bdi class="named">{}</bdi>',
    "scopes": "<bdi>{}</bdi>",
}

# How names are put into a template.
type Fill = Callable[[Any, Mapping[str, str]], str]


def sentence(entry: dict[str, Any]) -> str:
    """Return what happened as a sentence to the user. `entry` has names from `web.wording.names.add_names`."""
    return _say(entry, _fill)


def sentence_html(entry: dict[str, Any]) -> SafeString:
    """Return the sentence as HTML, with names chosen by others set apart."""
    return mark_safe(_say(entry, _fill_html))  # noqa: S308 -- all parts are escaped


def _fill(template: Any, words: Mapping[str, str]) -> str:
    return str(template) % words


def _fill_html(template: Any, words: Mapping[str, str]) -> str:
    marked = {name: one if isinstance(one, SafeString) else _mark(name, one) for name, one in words.items()}
    return mark_safe(conditional_escape(template) % marked)  # noqa: S308 -- all parts are escaped


def _mark(name: str, text: str) -> SafeString:
    return format_html(MARKS.get(name, "{}"), text)


def _say(entry: dict[str, Any], fill: Fill) -> str:
    """Return the sentence and any addition to it: the reason for a denial, what was removed, or the cause."""
    if entry["event"] == Event.CONSENT_APPROVED and entry["metadata"].get("replacedConsentId"):
        return _change(entry, fill)
    first = fill(sentence_of(entry), _words(entry, fill))
    if entry["event"] == Event.TOKEN_VERIFY and entry["outcome"] == Outcome.DENIED and not asks_user(entry):
        return f"{first} {_why(entry, fill)}"
    if entry["event"] == Event.CONSENT_NARROWED and entry["removedTitles"]:
        return f"{first} {fill(REMOVED, {'scopes': _listed(entry['removedTitles'])})}"
    return f"{first} {fill(cause_of(entry), {})}".rstrip()


def _words(entry: dict[str, Any], fill: Fill) -> dict[str, str]:
    """Return the names for the sentence. Other people have no names here."""
    return {
        "person": _("You"),
        "account": _("your account"),
        "actor": _("You") if _is_own(entry) else str(ACTORS.get(entry["actor"]["kind"], _("An unknown caller"))),
        "organization": _("your organization"),
        "policy": entry["policyName"],
        "agent": entry["agentName"] or _("An agent"),
        "scopes": _act(entry, fill) or _listed(entry["scopeTitles"]) or _("no specific scopes"),
    }


def _is_own(entry: dict[str, Any]) -> bool:
    """Return whether the user acted, possibly as a developer."""
    actor = entry["actor"]
    if actor["kind"] == "developer":
        return bool(actor["id"] and actor["id"] == entry["metadata"].get("developerId"))
    return bool(actor["kind"] == "user")


def _act(entry: dict[str, Any], fill: Fill) -> str:
    """Return what a request would do, or "" if the entry is not about a request (`web.user.activity.items`)."""
    act: str = entry.get("actHtml" if fill is _fill_html else "act", "")
    return act


def _change(entry: dict[str, Any], fill: Fill) -> str:
    """Return what a later decision added and removed, and what the agent's developer had already removed."""
    changes = (
        (ADDED, entry["addedTitles"]),
        (REWORDED, entry["rewordedTitles"]),
        (REMOVED, entry["removedTitles"]),
        (WITHDRAWN, entry["withdrawnTitles"]),
    )
    parts = [fill(template, {"scopes": _listed(titles)}) for template, titles in changes if titles]
    is_longer = entry["metadata"].get("isLonger")
    is_changed = is_longer or any(titles for _, titles in changes[:-1])
    opening = CONNECTION_CHANGED if is_changed else CONNECTION_CONFIRMED
    first = fill(opening, {"agent": entry["agentName"] or _("An agent"), "scopes": _listed(entry["scopeTitles"])})
    return " ".join([first, *parts, *([fill(LONGER, {})] if is_longer else [])])


def _listed(titles: list[str]) -> str:
    return listed(titles)


def reason_html(entry: dict[str, Any]) -> SafeString:
    """Return why the request was denied, with the name of the policy or the kind of limit that denied it, if any."""
    return mark_safe(_why(entry, _fill_html))  # noqa: S308 -- all parts are escaped


def _why(entry: dict[str, Any], fill: Fill) -> str:
    if entry["reason"] is None:
        return ""
    if entry["reason"] != Reason.POLICY_DENIED or entry["metadata"].get("limitedBy") == "user":
        return fill(explain_denial(entry["reason"], entry["metadata"]).why, {})
    is_developers = entry["policyOrganizationId"] in (None, entry["organizationId"])
    return fill(DEVELOPERS_POLICY if is_developers else SERVICES_POLICY, {"policy": entry["policyName"]})
