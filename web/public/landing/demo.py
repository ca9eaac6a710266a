"""The demo on the landing page: a consent screen to play with, and what verify would then answer.

Its state is in the address. The form is that of a real request, and `decisions.whatif.rehearsal` decides by
the rules of verify. Nothing is read or written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from agents.models import Agent
from consent.connections import Choice as Decision
from consent.models import Consent
from consent.terms import ASK, MODES, Terms, always_asking, settle_terms
from core.errors import FieldError, Invalid
from resources.catalogue import catalogue
from web.public.landing.attempts import ATTEMPTS, OUTCOMES, PAY, READ, SEND, Row, rows_of
from web.user.connections.limits.inputs import SPEND_PERIODS
from web.user.connections.limits.reading import field_name
from web.user.connections.limits.words import limits_in_words
from web.user.consent.form import MODE, TICKED_RISKS, Choice, Given, Screen
from web.user.consent.reading import read_decision, with_limits
from web.user.consent.sections import Section, Summary, sections, summarize

SCOPES = (READ, SEND, PAY)
AGENT, DEVELOPER = "Trip Planner", "Example Travel"
DECISIONS = ALLOW, DENY, OFF = "allow", "deny", "off"
DAILY = {"maxAmount": "50", "currency": "EUR", "windowSeconds": SPEND_PERIODS[0], "scope": "per_user"}
LIMITS = {PAY: [{"type": "spend_limit", "config": DAILY}]}
AMOUNT, CURRENCY, PERIOD = (field_name(kind, PAY) for kind in ("amount", "currency", "period"))
# The fields of the form with a fixed set of values.
CHOICES = {
    f"{MODE}{SEND}": MODES,
    "guard_offered": ("yes",),
    "guard": (ASK,),
    PERIOD: tuple(map(str, SPEND_PERIODS)),
}
MAX_CHARACTERS = 30


@dataclass(frozen=True, slots=True)
class Grant:
    """A scope that the agent gets, and in words how the visitor bounds it."""

    title: str
    bounds: Sequence[str]


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo as the page shows it.

    `decision` is "allow", "deny", "off" after access was revoked, or "" at first. `is_pressed` tells whether a button
    led here, and not only a change of the form. `problem` is that of the consent screen.
    """

    decision: str
    is_pressed: bool
    problem: str
    errors: Sequence[FieldError]
    sections: Sequence[Section]
    summary: Summary
    guard: Mapping[str, Any] | None
    grants: Sequence[Grant]
    rows: Sequence[Row]

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of rows by outcome."""
        return {outcome: sum(row.outcome == outcome for row in self.rows) for outcome in OUTCOMES}


def read_demo(query: QueryDict) -> Demo:
    """Return the demo in the state that the query describes. What the query has beyond that is ignored."""
    pressed, before = query.get("decision"), query.get("was")
    decision = next((one for one in (pressed, before) if one in DECISIONS), "")
    given = _given(_form(query)) if decision else Given()
    problem = _problem(given) if decision in (ALLOW, OFF) else ""
    is_answered = bool(decision) and not problem
    terms = _terms(given.decision) if given.decision and is_answered else Terms()
    granted = list(given.decision.scopes or ()) if given.decision and is_answered and decision != DENY else []
    choices = [_short(each) for each in _screen().choices(SCOPES, _ticked(), given)]
    return Demo(
        decision,
        is_pressed=bool(decision) and decision == pressed,
        problem=problem,
        errors=given.errors,
        sections=sections(choices, (), ()),
        summary=summarize(choices, ()),
        guard=_screen().guard(given.decision),
        grants=[_grant(scope, terms) for scope in granted],
        rows=rows_of(granted, terms, is_revoked=decision == OFF) if is_answered else [Row(each) for each in ATTEMPTS],
    )


@cache
def _screen() -> Screen:
    """Return the consent screen of the fictional agent."""
    asked = Consent(agent=Agent(name=AGENT, allowed_scopes=list(SCOPES)), requested_scopes=list(SCOPES))
    words = {scope: catalogue()[scope] for scope in SCOPES}
    return Screen(asked, None, [], [], list(SCOPES), words, [], Terms(limits=LIMITS))


def _ticked() -> list[str]:
    return [scope for scope in SCOPES if catalogue()[scope].risk_level in TICKED_RISKS]


def _form(query: QueryDict) -> QueryDict:
    """Return the fields of the demo alone. A script leaves out empty ones."""
    form = QueryDict(mutable=True)
    form.setlist("scopes", [scope for scope in SCOPES if scope in query.getlist("scopes")])
    for name, known in CHOICES.items():
        sent = query.get(name, "")
        if sent in known:
            form[name] = sent
    if PERIOD in form:
        form[AMOUNT] = query.get(AMOUNT, "")[:MAX_CHARACTERS]
        form[CURRENCY] = query.get(CURRENCY, "")[:MAX_CHARACTERS]
    return form


def _given(form: QueryDict) -> Given:
    """Return what the visitor chose, without limits if these cannot be used as they are."""
    chosen = read_decision(form, _screen(), form.getlist("scopes"))
    try:
        return Given(with_limits(chosen, form, _screen()), form)
    except Invalid as error:
        return Given(chosen, form, error.errors)


def _problem(given: Given) -> str:
    if given.decision is None or not given.decision.scopes:
        return "nothing"
    return "limits" if given.errors else ""


def _terms(chosen: Decision) -> Terms:
    granted = list(chosen.scopes or ())
    critical = always_asking(catalogue()[scope] for scope in granted)
    return settle_terms(earlier=_screen().terms, given=chosen.terms, granted=granted, critical=critical)


def _short(choice: Choice) -> Choice:
    """Return the choice with a limit on the amount as the only one that it offers."""
    if choice.limits is None:
        return choice
    amounts = [sentence for sentence in choice.limits.sentences if sentence.kind == "amount"]
    return replace(choice, limits=replace(choice.limits, sentences=amounts) if amounts else None)


def _grant(scope: str, terms: Terms) -> Grant:
    asks = [_("asks you every time")] if scope in terms.modes else []
    return Grant(catalogue()[scope].title, [*asks, *limits_in_words(terms.limits.get(scope, ()))])
