"""What an agent asks its user to approve, in the words of the request: every field, as plain text."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from consent.approval_selectors import needs_recent_sign_in, scopes_of
from consent.deeds import ceiling_of, further_fields
from consent.models import Approval
from consent.statuses import fixed_fields
from consent.terms import DATA_FLOW
from core.money import read_amount
from core.text import escape_invisible
from resources.catalogue import Scope
from web.approving.deeds import say, say_rule, say_up_to, stated
from web.approving.diffs import Block, read_diff, visible_text
from web.display import field_name, field_names, highest_risk
from web.formats import money

# Fields of the context with a place of their own.
NAMED = ("verb", "recipient", "target", "amount")
TEXTS = ("text", "diff")
# They say where a request comes from, not what it does.
NO_CONTENT = {"ip", "task"}
# More are shown together, as the JSON in which they were sent.
MAX_FACTS = 200
HOUR, DAY = 3600, 86_400
DURATIONS = (HOUR, DAY, 7 * DAY, 30 * DAY)


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Outline:
    """A request as lists show it."""

    approval: Approval
    status: str
    sentence: SafeString
    scopes: list[Scope]

    @property
    def more(self) -> str:
        """The names of what the request has besides what the sentence says, in one line."""
        return field_names(further_fields(self.approval))

    @property
    def risk(self) -> str | None:
        return highest_risk(scope.risk_level for scope in self.scopes)


@dataclass(frozen=True, slots=True)
class Asked(Outline):
    """A request as its page shows it. `facts` has its main fields, `others` the rest of its context.

    `diff` has the changed and unchanged lines of its diff, if it has one that can be read. `fixed` names what an
    approval for a time fixes besides what the sentence says.
    """

    facts: list[Fact]
    texts: list[Fact]
    diff: list[Block]
    others: list[Fact]
    durations: list[tuple[int, str]]
    reasons: list[str]
    is_critical: bool
    fixed: str

    @property
    def has_no_content(self) -> bool:
        """Whether the service sent nothing about the request, such as a proxy, which sees no content."""
        return not self.approval.context.keys() - NO_CONTENT


def outline(approval: Approval, now: datetime) -> Outline:
    return Outline(approval, approval.status_at(now), _sentence(approval), scopes_of(approval))


def describe(approval: Approval, now: datetime) -> Asked:
    context = approval.context
    diff = read_diff(context["diff"]) if _has_text("diff", context) else []
    others = {name: value for name, value in context.items() if not _has_place(name, value)}
    return Asked(
        approval=approval,
        status=approval.status_at(now),
        sentence=_sentence(approval),
        scopes=scopes_of(approval),
        facts=list(_main_facts(approval)),
        texts=[
            Fact(_labels()[name], visible_text(context[name]))
            for name in TEXTS
            if _has_text(name, context) and not (name == "diff" and diff)
        ],
        diff=diff,
        others=_bounded(list(_flatten(others))),
        durations=_durations(approval.consent.expires_at - now) if approval.names_target else [],
        reasons=list(_reasons(approval)),
        is_critical=needs_recent_sign_in(approval),
        fixed=fixed_names(approval),
    )


def fixed_facts(approval: Approval) -> list[Fact]:
    """Return what a standing approval of this request fixes besides what the sentence says."""
    return _bounded(list(_flatten(_further_fixed(approval))))


def fixed_names(approval: Approval) -> str:
    """Return the names of `fixed_facts` in one line."""
    return field_names(_further_fixed(approval))


def _sentence(approval: Approval) -> SafeString:
    if approval.times_per_day is not None:
        return say_rule(approval, ceiling_of(approval), approval.times_per_day)
    return say_up_to(approval, ceiling_of(approval)) if approval.is_standing else say(approval)


def _reasons(approval: Approval) -> Iterator[str]:
    """Yield why the user is asked, in sentences."""
    if approval.asked_scopes:
        yield _("You are asked each time this agent wants to use this permission.")
    if approval.asked_by_rule == DATA_FLOW:
        yield _("This task has read private data and content that others wrote, and wants to send something out.")
    elif approval.asked_by_rule:
        yield _("A rule of an organization wants your approval.")


def _main_facts(approval: Approval) -> Iterator[Fact]:
    labels, context = _labels(), approval.context
    for name in NAMED:
        if name in context:
            yield Fact(labels[name], _amount(context[name]) if name == "amount" else stated(context[name]))
    for label, text in ((_("Action"), approval.action), (_("Resource"), approval.resource)):
        if text:
            yield Fact(label, escape_invisible(text))


def _labels() -> dict[str, str]:
    return {
        "verb": _("What it wants to do"),
        "recipient": _("Recipient"),
        "target": _("Target"),
        "amount": _("Amount"),
        "text": _("Text"),
        "diff": _("Changes"),
    }


def _further_fixed(approval: Approval) -> dict[str, Any]:
    fixed = fixed_fields(approval.context)
    return {name: fixed[name] for name in further_fields(approval) if name in fixed}


def _has_place(name: str, value: Any) -> bool:
    return name in NAMED or (name in TEXTS and isinstance(value, str))


def _has_text(name: str, context: dict[str, Any]) -> bool:
    return isinstance(context.get(name), str)


def _amount(amount: Any) -> str:
    """Return the amount in the user's locale. Anything else than a value with its currency is shown as it was sent."""
    return money(amount) if read_amount(amount) else stated(amount)


def _flatten(value: Any, path: str = "") -> Iterator[Fact]:
    """Yield the leaves of a JSON value with their dotted paths. Names that are no plain words are quoted in them."""
    parts: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not value or not parts:
        if path:
            yield Fact(path, stated(value))
        return
    for name, part in parts:
        step = field_name(str(name))
        yield from _flatten(part, f"{path}.{step}" if path else step)


def _bounded(facts: list[Fact]) -> list[Fact]:
    if len(facts) <= MAX_FACTS:
        return facts
    rest = "; ".join(f"{fact.label}: {fact.value}" for fact in facts[MAX_FACTS:])
    return [*facts[:MAX_FACTS], Fact(_("Further fields"), rest)]


def _durations(left: timedelta) -> list[tuple[int, str]]:
    """Return for how many seconds the user may approve, with words. Never longer than the connection lasts."""
    words = {HOUR: _("1 hour"), DAY: _("1 day"), 7 * DAY: _("7 days"), 30 * DAY: _("30 days")}
    return [(seconds, words[seconds]) for seconds in DURATIONS if seconds < left.total_seconds()]
