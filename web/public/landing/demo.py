"""The demo on the landing page: a consent screen to try, and what verify would then answer.

Its state is in the URL. The form is the same as for a real request, and `decisions.whatif.rehearsal` decides by
verify's rules. Nothing is read or written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agents.models import Agent
from consent.terms import Terms, always_asking
from core.errors import Invalid
from core.formats import money
from decisions.requests import Decision, Reason
from decisions.whatif.rehearsal import Call, Rehearsed, rehearse
from decisions.wording import REASONS
from developers.models import Organization
from resources.catalogue import catalogue
from web.user.connections.limits.descriptions import limits_in_words
from web.user.connections.limits.parsing import field_name
from web.user.consent.form import TICKED_RISKS
from web.user.consent.rehearsal import Answered, Request, grants, show_screen

READ, SEND, PAY, MANAGE = "email:read", "email:send", "payments:charge", "email:manage"
SCOPES = (READ, SEND, PAY)
AGENT, DEVELOPER = "Trip Planner", Organization(name="Example Travel", is_verified=True)
DECISIONS = ALLOW, DENY, OFF = "allow", "deny", "off"
OUTCOMES = ALLOWED, ASKED, DENIED = "allowed", "asked", "denied"
DAILY = {"maxAmount": "50", "currency": "EUR", "windowSeconds": 86_400, "scope": "per_user"}
LIMITS = {PAY: [{"type": "spend_limit", "config": DAILY}]}
AMOUNT, PERIOD = field_name("amount", PAY), field_name("period", PAY)


def _euros(value: str) -> dict[str, str]:
    return {"value": value, "currency": "EUR"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """An action that the agent attempts."""

    words: str | Promise
    icon: str
    scope: str
    context: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        amount = money(self.context["amount"]) if "amount" in self.context else ""
        return str(self.words) % {"amount": amount, "recipient": self.context.get("recipient", "")}


ATTEMPTS = (
    Attempt(gettext_lazy("Read the email from the airline"), "mail", READ, {"verb": "read"}),
    Attempt(gettext_lazy("Send an email to %(recipient)s"), "out", SEND, {"verb": "send", "recipient": "bob@acme.com"}),
    Attempt(gettext_lazy("Pay %(amount)s for a seat"), "card", PAY, {"verb": "pay", "amount": _euros("12")}),
    Attempt(gettext_lazy("Pay %(amount)s for a hotel"), "card", PAY, {"verb": "pay", "amount": _euros("80")}),
    Attempt(gettext_lazy("Move an email to the bin"), "trash", MANAGE, {"verb": "move"}),
)


@dataclass(frozen=True, slots=True)
class Row:
    """An attempt with its outcome: "allowed", "asked", "denied", or "" if what the visitor sent has a problem."""

    attempt: Attempt
    outcome: str = ""
    why: str = ""


def show_demo(query: QueryDict) -> dict[str, Any]:
    """Return the demo in the state that the query describes, as the page shows it.

    A query that the form cannot send counts as an empty one.
    """
    # Without its organization, whose policies would be read.
    agent = Agent(id=AGENT, name=AGENT, allowed_scopes=list(SCOPES))
    screen = Request(agent, [catalogue()[one] for one in SCOPES], SCOPES).screen(Terms(limits=LIMITS))
    decision, form = query.get("decision", ""), query.copy()
    if PERIOD in form:
        form.setdefault(AMOUNT, "")  # scripts leave out empty fields
    try:
        answered = Answered.read(form, screen) if decision in DECISIONS else Answered()
    except Invalid:
        answered = Answered()
    ticked = [scope for scope in SCOPES if catalogue()[scope].risk_level in TICKED_RISKS]
    is_first = answered == Answered()
    asked = Answered(granted=ticked) if is_first else answered
    rows = _rows(asked, is_revoked=decision == OFF) if asked.is_decided else [Row(each) for each in ATTEMPTS]
    return {
        **show_screen(screen, answered, ticked),
        "agent": agent,
        "organization": DEVELOPER,
        "is_first": is_first,
        "decision": decision if answered.is_decided else "",
        "grants": grants(answered, screen),
        "rows": rows,
        "counts": {outcome: sum(row.outcome == outcome for row in rows) for outcome in OUTCOMES},
    }


def _rows(answered: Answered, *, is_revoked: bool) -> list[Row]:
    """Return the attempts with what verify answers. Without a granted scope, the agent has no token."""
    terms, granted = answered.terms, answered.granted
    rehearsed = Rehearsed(scopes=granted, terms=terms.stored(), is_revoked=is_revoked) if granted else None
    answers = rehearse(rehearsed, [Call(attempt.scope, attempt.context) for attempt in ATTEMPTS])
    return [_row(attempt, answer, terms) for attempt, answer in zip(ATTEMPTS, answers, strict=True)]


def _row(attempt: Attempt, answer: Decision, terms: Terms) -> Row:
    if answer.allowed:
        return Row(attempt, ALLOWED)
    if answer.reason is Reason.APPROVAL_REQUIRED:
        return Row(attempt, ASKED, _why_asked(attempt.scope, terms))
    return Row(attempt, DENIED, _why_denied(terms.limits.get(attempt.scope, ()), answer.reason))


def _why_asked(scope: str, terms: Terms) -> str:
    if always_asking([catalogue()[scope]]):
        return _("A critical permission always asks.")
    if scope in terms.modes:
        return _("You chose to be asked every time.")
    return _(
        "It has read both your private data and what others wrote, which can contain instructions to send it away."
    )


def _why_denied(limits: Sequence[Mapping[str, Any]], reason: Reason | None) -> str:
    if reason is Reason.INVALID_TOKEN:
        return _("It has no access.")
    if reason is Reason.POLICY_DENIED:
        return _("Your limit: %(limit)s.") % {"limit": " · ".join(limits_in_words(limits))}
    return str(REASONS[str(reason)].why)
