"""A consent screen without a stored request, and what the agent would get.

The landing page, the trial of an agent and the preview beside an agent's form share it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from django.http import QueryDict
from django.utils.translation import gettext as _

from agents.models import Agent
from consent.connections import Choice as Decision
from consent.connections import editions_of, labels_of
from consent.models import Consent
from consent.terms import Terms, always_asking, settle_terms
from core.errors import FieldError, Invalid
from resources.catalogue import Scope, describe_scopes, snapshot
from web.user.connections.limits.descriptions import limits_in_words
from web.user.consent.decision import read_decision, with_limits
from web.user.consent.form import UNTOUCHED, Given, Screen, in_order, ticked_at_first
from web.user.consent.sections import sections, summarize

ASKED_SCOPE = "ask"
NO_TERMS = Terms()


@dataclass(frozen=True, slots=True)
class Grant:
    """A scope that the agent gets, and its bounds in words."""

    scope: Scope
    bounds: Sequence[str]


@dataclass(frozen=True, slots=True)
class Request:
    """An agent's request. `offered` are the scopes that the agent can ask for, and `asked` those that it asks for."""

    agent: Agent
    offered: Sequence[Scope]
    asked: Sequence[str]

    @classmethod
    def of(cls, agent: Agent, query: QueryDict) -> Self:
        """Return the request that the URL describes. By default, the agent asks for everything that it can."""
        offered = describe_scopes(agent.allowed_scopes)
        wanted = query.getlist(ASKED_SCOPE)
        chosen = [scope.id for scope in offered if scope.id in wanted]
        return cls(agent, offered, chosen or [scope.id for scope in offered])

    def screen(self, terms: Terms = NO_TERMS) -> Screen:
        redirect_uri = next(iter(self.agent.redirect_uri_list), "")
        request = Consent(agent=self.agent, requested_scopes=list(self.asked), redirect_uri=redirect_uri)
        words = {scope.id: scope for scope in self.offered}
        return Screen(request, None, [], [], in_order(self.asked, words), words, [], terms)


@dataclass(frozen=True, slots=True)
class Answered:
    """What the user did on the screen: allowed scopes with their `terms`, denied, or neither yet.

    `problem` is the consent screen's, and `errors` are about the fields that it concerns.
    """

    granted: Sequence[str] = ()
    terms: Terms = NO_TERMS
    is_denied: bool = False
    given: Given = UNTOUCHED
    problem: str = ""
    errors: Sequence[FieldError] = ()

    @classmethod
    def read(cls, form: QueryDict, screen: Screen) -> Self:
        """Return what the form says. Raises `Invalid` for anything that the screen cannot send."""
        if form.get("decision") == "deny":
            return cls(is_denied=True)
        chosen = read_decision(form, screen, [scope for scope in screen.new if scope in form.getlist("scopes")])
        if "limits" in form:
            return cls(given=Given(chosen, form, opened=form.get("limits", "")))
        if not chosen.scopes:
            return cls(given=Given(chosen, form), problem="nothing")
        try:
            chosen = with_limits(chosen, form, screen)
        except Invalid as error:
            return cls(given=Given(chosen, form, error.errors), problem="limits", errors=error.errors)
        return cls(granted=list(chosen.scopes or ()), terms=_settle(chosen, screen), given=Given(chosen, form))

    @property
    def is_decided(self) -> bool:
        return self.is_denied or bool(self.granted)


def show_screen(screen: Screen, answered: Answered, ticked: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the context of the consent screen's templates. `ticked` are the scopes to tick initially."""
    choices = screen.choices(screen.new, ticked_at_first(screen) if ticked is None else ticked, answered.given)
    return {
        "sections": sections(choices, (), ()),
        "summary": summarize(choices, ()),
        "guard": screen.guard(answered.given.decision),
        "problem": answered.problem,
        "errors": answered.errors,
    }


def grants(answered: Answered, screen: Screen) -> list[Grant]:
    """Return what the agent gets, in the order of the request."""
    return [_grant(screen.words[scope], answered.terms) for scope in answered.granted]


def _settle(chosen: Decision, screen: Screen) -> Terms:
    """Return the terms that the connection would have."""
    granted = list(chosen.scopes or ())
    described = [screen.words[scope] for scope in granted]
    shown = snapshot(described)
    return settle_terms(
        earlier=screen.terms,
        given=chosen.terms,
        granted=granted,
        critical=always_asking(described),
        labels=labels_of(granted, shown),
        editions=editions_of(granted, shown),
    )


def _grant(scope: Scope, terms: Terms) -> Grant:
    asks = [_("asks every time")] if scope.id in terms.modes else []
    return Grant(scope, [*asks, *limits_in_words(terms.limits.get(scope.id, ()))])
