"""The consent screen of the sandbox: that of a request which the developer's own agent could make."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from django.http import QueryDict
from django.utils.translation import gettext as _

from agents.models import Agent
from consent.connections import Choice as Decision
from consent.models import Consent
from consent.terms import Terms
from core.errors import FieldError, Invalid
from resources.catalogue import Scope, describe_scopes
from web.user.connections.limits.words import limits_in_words
from web.user.consent.facts import facts_of
from web.user.consent.form import Given, Screen, ticked_at_first
from web.user.consent.reading import read_decision, with_limits
from web.user.consent.sections import sections, summarize

ASKED_SCOPE = "ask"
UNTOUCHED = Given()


@dataclass(frozen=True, slots=True)
class Grant:
    """A scope that the agent got in a trial, and in words how it is bounded."""

    scope: Scope
    bounds: Sequence[str]


@dataclass(frozen=True, slots=True)
class Request:
    """The request of a trial. `offered` are the scopes that the agent can ask for, `asked` those that it asks for."""

    agent: Agent
    offered: Sequence[Scope]
    asked: Sequence[str]

    @classmethod
    def of(cls, agent: Agent, query: QueryDict) -> Self:
        """Return the request that the address describes. By default, the agent asks for everything that it can."""
        offered = describe_scopes(agent.allowed_scopes)
        wanted = query.getlist(ASKED_SCOPE)
        chosen = [scope.id for scope in offered if scope.id in wanted]
        return cls(agent, offered, chosen or [scope.id for scope in offered])

    @property
    def screen(self) -> Screen:
        redirect_uri = next(iter(self.agent.redirect_uri_list), "")
        request = Consent(agent=self.agent, requested_scopes=list(self.asked), redirect_uri=redirect_uri)
        words = {scope.id: scope for scope in self.offered}
        return Screen(request, None, [], [], list(self.asked), words, [], Terms())


@dataclass(frozen=True, slots=True)
class Answered:
    """What the developer did on the screen: allowed scopes, denied, or neither yet.

    `problem` is that of the consent screen, and `errors` the fields that it concerns.
    """

    decision: Decision | None = None
    is_denied: bool = False
    given: Given = UNTOUCHED
    problem: str = ""
    errors: Sequence[FieldError] = ()

    @property
    def granted(self) -> list[str]:
        return list(self.decision.scopes or ()) if self.decision else []

    @classmethod
    def read(cls, form: QueryDict, screen: Screen) -> Self:
        """Return what the form says. Raises `Invalid` for what the screen cannot send."""
        if form.get("decision") == "deny":
            return cls(is_denied=True)
        chosen = read_decision(form, screen, form.getlist("scopes"))
        if "limits" in form:
            return cls(given=Given(chosen, form, opened=form.get("limits", "")))
        if not chosen.scopes:
            return cls(given=Given(chosen, form), problem="nothing")
        try:
            return cls(decision=with_limits(chosen, form, screen))
        except Invalid as error:
            return cls(given=Given(chosen, form, error.errors), problem="limits", errors=error.errors)


def show_screen(screen: Screen, answered: Answered) -> dict[str, Any]:
    """Return the context of the templates of the consent screen."""
    choices = screen.choices(screen.new, ticked_at_first(screen), answered.given)
    return {
        **facts_of(screen.asked),
        "sections": sections(choices, (), ()),
        "summary": summarize(choices, ()),
        "guard": screen.guard(answered.given.decision),
        "problem": answered.problem,
        "errors": answered.errors,
    }


def grants(scopes: Sequence[str], terms: Terms) -> list[Grant]:
    """Return what the agent got, in the order of the request."""
    return [_grant(scope, terms) for scope in describe_scopes(scopes)]


def _grant(scope: Scope, terms: Terms) -> Grant:
    asks = [_("asks the user every time")] if scope.id in terms.modes else []
    return Grant(scope, [*asks, *limits_in_words(terms.limits.get(scope.id, ()))])
