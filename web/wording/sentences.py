"""The audit log in words for users: what happened, in whole sentences that can be translated.

An entry has a title, which says what was done. What else there is to say follows in notes of their own, because parts
that are put together do not form a sentence in every language.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from audit.events import Event, Outcome
from core.local import listed
from decisions.requests import Reason
from decisions.wording import asks_user, cause_of, explain_denial, is_for_rule
from web.wording.events import ASKED, BY_OTHERS, CHANGES, DENIED, DONE_BY, LABELS, RULE_LABELS, TITLES, Words

# Events about one request of an agent. The title says what the agent asked to do.
ACTS = frozenset({Event.TOKEN_VERIFY, *LABELS})
# Requests that are denied or allowed.
CALLS = frozenset({Event.TOKEN_VERIFY, Event.TOKEN_INTROSPECTED})
WITH_SCOPES = frozenset({Event.CONSENT_REQUESTED, Event.CONSENT_APPROVED, Event.TOKEN_ISSUED})
# Markup that sets names chosen by others apart from our own words.
MARKS = {
    "agent": '<bdi class="named">{}</bdi>',
    "policy": '<bdi class="named">{}</bdi>',
    "scopes": "<bdi>{}</bdi>",
}

# How names are put into a template.
type Fill = Callable[[Any, Mapping[str, str]], str]


@dataclass(frozen=True, slots=True)
class Account:
    """What an entry says: what was done, what became of it, why it was denied, and notes.

    `agent` is who did it, unless the title names it.
    """

    title: str
    agent: str
    scopes: str
    label: str
    why: str
    notes: list[str]

    @property
    def text(self) -> str:
        return " · ".join(filter(None, (self.title, self.agent, self.scopes, self.label, self.why, *self.notes)))


def in_words(entry: dict[str, Any]) -> Account:
    """Return what happened, to the user, as text. `entry` has names from `web.wording.names.add_names`."""
    return _account(entry, _fill, entry.get("act", ""))


def in_html(entry: dict[str, Any]) -> Account:
    """Return the same as HTML, with names chosen by others set apart."""
    return _account(entry, _fill_html, entry.get("actHtml", ""))


def decisions_in_html(event: str, number: int, agent_name: str) -> SafeString:
    """Return a title for several decisions of the user about the same agent's requests."""
    templates: dict[str, str] = {
        Event.APPROVAL_APPROVED: ngettext(
            "You approved %(number)s request of %(agent)s", "You approved %(number)s requests of %(agent)s", number
        ),
        Event.APPROVAL_DENIED: ngettext(
            "You denied %(number)s request of %(agent)s", "You denied %(number)s requests of %(agent)s", number
        ),
        Event.APPROVAL_EXPIRED: ngettext(
            "%(number)s request of %(agent)s expired before you answered",
            "%(number)s requests of %(agent)s expired before you answered",
            number,
        ),
    }
    return mark_safe(_fill_html(templates[event], {"number": str(number), "agent": agent_name}))  # noqa: S308 -- escaped


def _fill(template: Any, words: Mapping[str, str]) -> str:
    return str(template) % words


def _fill_html(template: Any, words: Mapping[str, str]) -> str:
    marked = {name: format_html(MARKS.get(name, "{}"), one) for name, one in words.items()}
    return mark_safe(conditional_escape(template) % marked)  # noqa: S308 -- all parts are escaped


def _account(entry: dict[str, Any], fill: Fill, act: str) -> Account:
    names = {"agent": entry["agentName"] or _("An agent")}
    is_act = entry["event"] in ACTS
    return Account(
        title=act if is_act else fill(_title(entry), names),
        agent=fill("%(agent)s", names) if is_act else "",
        scopes=_scopes(entry, fill),
        label=str(_label(entry)),
        why=_why(entry, fill),
        notes=[*_notes(entry, fill)],
    )


def _title(entry: dict[str, Any]) -> Words:
    """Return the template of the title. An unknown event of the past is its name."""
    event, metadata = entry["event"], entry["metadata"]
    if event == Event.CONSENT_APPROVED and metadata.get("replacedConsentId"):
        return CHANGES["changed" if _is_changed(entry) else "confirmed"]
    if event == Event.CONSENT_EXPIRED and entry["userId"] is None:
        return CHANGES["unanswered"]
    if event in BY_OTHERS and not _is_own(entry):
        return BY_OTHERS[event]
    return TITLES.get(event, event.replace("%", "%%"))


def _is_own(entry: dict[str, Any]) -> bool:
    """Return whether the user acted, possibly as a developer."""
    actor = entry["actor"]
    if actor["kind"] == "developer":
        return bool(actor["id"] and actor["id"] == entry["metadata"].get("developerId"))
    return bool(actor["kind"] == "user")


def _label(entry: dict[str, Any]) -> Words:
    """Return what became of a request, unless it was allowed at once. Empty for other events."""
    if entry["event"] in CALLS and entry["outcome"] == Outcome.DENIED:
        return ASKED if asks_user(entry) else DENIED
    return RULE_LABELS.get(entry["event"], "") if is_for_rule(entry) else LABELS.get(entry["event"], "")


def _scopes(entry: dict[str, Any], fill: Fill) -> str:
    """Return the permissions that an event is about as a whole."""
    if entry["event"] not in WITH_SCOPES or _is_changed(entry) or not entry["scopeTitles"]:
        return ""
    return fill(_("Permissions: %(scopes)s"), {"scopes": listed(entry["scopeTitles"])})


def _notes(entry: dict[str, Any], fill: Fill) -> Iterator[str]:
    """Yield what was changed, the earlier act that caused this one, and who acted if it was not the user."""
    event, metadata = entry["event"], entry["metadata"]
    for name in ("added", "reworded", "removed", "withdrawn"):
        if (titles := entry.get(f"{name}Titles")) and (
            event == Event.CONSENT_NARROWED or metadata.get("replacedConsentId")
        ):
            yield fill(CHANGES[name], {"scopes": listed(titles)})
    if metadata.get("isLonger"):
        yield fill(CHANGES["longer"], {})
    if cause := fill(cause_of(entry), {}):
        yield cause
    if event in BY_OTHERS and not _is_own(entry):
        yield str(DONE_BY.get(entry["actor"]["kind"], DONE_BY["anonymous"]))


def _is_changed(entry: dict[str, Any]) -> bool:
    """Return whether a later decision changed what the agent may do."""
    changed = any(entry.get(f"{name}Titles") for name in ("added", "reworded", "removed"))
    return bool(entry["metadata"].get("replacedConsentId") and (changed or entry["metadata"].get("isLonger")))


def _why(entry: dict[str, Any], fill: Fill) -> str:
    """Return why the request was denied, with the name of the policy or the kind of limit that denied it, if any."""
    if entry["reason"] is None:
        return ""
    if entry["reason"] != Reason.POLICY_DENIED or entry["metadata"].get("limitedBy") == "user":
        return fill(explain_denial(entry["reason"], entry["metadata"]).why, {})
    is_developers = entry["policyOrganizationId"] in (None, entry["organizationId"])
    template = (
        gettext_lazy("A policy of its developer denied this: %(policy)s.")
        if is_developers
        else gettext_lazy("A policy of the service denied this: %(policy)s.")
    )
    return fill(template, {"policy": entry["policyName"]})
