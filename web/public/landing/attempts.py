"""What the agent of the landing page's demo tries, and what verify answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from consent.terms import Terms, always_asking
from decisions.requests import Decision, Reason
from decisions.whatif.rehearsal import Call, Rehearsed, rehearse
from decisions.wording import REASONS
from resources.catalogue import catalogue
from web.display.formats import money
from web.user.connections.limits.words import limits_in_words

READ, SEND, PAY, MANAGE = "email:read", "email:send", "payments:charge", "email:manage"
OUTCOMES = ALLOWED, ASKED, DENIED = "allowed", "asked", "denied"


def _euros(value: str) -> dict[str, str]:
    return {"value": value, "currency": "EUR"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """Something that the agent tries."""

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
    """An attempt with its outcome: "allowed", "asked", "denied", or "" before the visitor has decided."""

    attempt: Attempt
    outcome: str = ""
    why: str = ""


def rows_of(granted: Sequence[str], terms: Terms, *, is_revoked: bool) -> list[Row]:
    """Return the attempts with what verify answers. Without a granted scope, the agent has no token."""
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
