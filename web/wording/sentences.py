"""The audit log in words for users: what happened, in whole sentences that can be translated.

An entry has a title, which says what was done. What else there is to say follows in notes of their own, because parts
that are put together do not form a sentence in every language.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from audit.events import Event, Outcome
from core.local import listed, listed_html
from decisions.requests import Reason
from decisions.wording import asks_user, cause_of, explain_denial, is_for_rule
from web.wording.events import ASKED, BY_OTHERS, CHANGES, DENIED, DONE_BY, LABELS, RULE_LABELS, TITLES, Words

# Events about one request of an agent. The title says what the agent asked to do.
ACTS = frozenset({Event.TOKEN_VERIFY, *LABELS})
# Requests that are denied or allowed.
CALLS = frozenset({Event.TOKEN_VERIFY, Event.TOKEN_INTROSPECTED})
DELEGATIONS = frozenset({Event.DELEGATION_CREATED, Event.DELEGATION_REDEEMED, Event.DELEGATION_ENDED})
WITH_SCOPES = frozenset({Event.CONSENT_REQUESTED, Event.CONSENT_APPROVED, Event.TOKEN_ISSUED, Event.DELEGATION_CREATED})
# Markup that sets names chosen by others apart from our own words.
MARKS = {
    "agent": '<bdi class="named">{}</bdi>',
    "giver": '<bdi class="named">{}</bdi>',
    "policy": '<bdi class="named">{}</bdi>',
    "scopes": "<bdi>{}</bdi>",
}

# How names are put into a template. A list of names becomes one in the language of the page.
type Fill = Callable[[Any, Mapping[str, str | Sequence[str]]], str]


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


def through_html(names: Sequence[str]) -> str:
    """Return the agents of a chain, from the first one to the one that acts, with their names set apart."""
    return _through(names, _fill_html)


def through(names: Sequence[str]) -> str:
    """Return the agents of a chain, from the first one to the one that acts, as text."""
    return _through(names, _fill)


def decisions_in_html(event: str, number: int, names: Sequence[str]) -> SafeString:
    """Return a title for several decisions of the user about requests of the same agent, the last of these."""
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
    words = {"number": str(number), "agent": through_html(names)}
    return mark_safe(conditional_escape(templates[event]) % words)  # noqa: S308 -- all parts are escaped


def _fill(template: Any, words: Mapping[str, str | Sequence[str]]) -> str:
    return str(template) % {name: one if isinstance(one, str) else listed(one) for name, one in words.items()}


def _fill_html(template: Any, words: Mapping[str, str | Sequence[str]]) -> str:
    marked = {name: _mark(name, one) for name, one in words.items()}
    return mark_safe(conditional_escape(template) % marked)  # noqa: S308 -- all parts are escaped


def _mark(name: str, value: str | Sequence[str]) -> SafeString:
    if isinstance(value, str):
        return format_html(MARKS.get(name, "{}"), value)
    return listed_html(format_html(MARKS["agent"], one) for one in value)


def _through(names: Sequence[str], fill: Fill) -> str:
    if len(names) < 2:
        return fill("%(agent)s", {"agent": "".join(names) or _("An agent")})
    # Translators: An agent, and those through which it acts, such as "SmartMail, through Summarizer".
    return fill(_("%(agent)s, through %(others)s"), {"agent": names[0], "others": names[1:]})


def _account(entry: dict[str, Any], fill: Fill, act: str) -> Account:
    chain = entry.get("chainNames", ())
    agent = entry["agentName"] or _("An agent")
    names = {"agent": agent, "giver": chain[-2] if chain else _("An agent")}
    is_act = entry["event"] in ACTS
    return Account(
        title=act if is_act else fill(_title(entry), names),
        agent=_through(chain or [agent], fill) if is_act else "",
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
    if (chain := entry.get("chainNames")) and event not in ACTS | DELEGATIONS:
        yield fill(_("For %(agent)s, which handed the work on"), {"agent": chain[0]})
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
    limited_by = entry["metadata"].get("limitedBy")
    giver, agent = who_limited(entry) if limited_by == "delegation" else ("", "")
    if giver:
        text = gettext_lazy("%(giver)s set a limit when it handed the work to %(agent)s. That limit denied this.")
        return fill(text, {"giver": giver, "agent": agent})
    if entry["reason"] != Reason.POLICY_DENIED or limited_by:
        return fill(explain_denial(entry["reason"], entry["metadata"]).why, {})
    names: dict[str, str | Sequence[str]] = {"policy": entry["policyName"]}
    if entry["policyOrganizationId"] in (None, entry["organizationId"]):
        return fill(gettext_lazy("A policy of its developer denied this: %(policy)s."), names)
    if above := whose_policy(entry):
        text = gettext_lazy("A policy of the developer of %(agent)s denied this: %(policy)s.")
        return fill(text, {**names, "agent": above})
    return fill(gettext_lazy("A policy of the service denied this: %(policy)s."), names)


def whose_policy(entry: Mapping[str, Any]) -> str:
    """Return the name of the agent of a chain whose developer's policy denied, or "" if it was none of them."""
    links = zip(entry.get("chain", ()), entry.get("chainNames", ()), strict=True)
    owner = entry["policyOrganizationId"]
    return next((name for link, name in links if link["organizationId"] == owner), "")


def who_limited(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Return the agent that handed the work over with the limit that denied, and the one to which it did."""
    names = entry.get("chainNames", ())
    limited = entry["metadata"].get("delegationId")
    place = next((at for at, link in enumerate(entry.get("chain", ())) if link["delegationId"] == limited), 0)
    return (names[place - 1], names[place]) if place else ("", "")
