"""Which granted scope covers the action of a request. What no scope covers is denied, whatever scopes are required.

A covering scope that the caller does not require counts as required: its mode, limits, targets, labels and risk apply.
"""

from collections.abc import Sequence
from typing import NamedTuple

from decisions.facts import TokenFacts
from decisions.questions import Question
from decisions.terms import Terms
from policies.policy_sets import PolicySet
from resources.actions import catalogue_actions
from resources.covers import NO_ACTIONS, Actions, Cover


class Covering(NamedTuple):
    """The scope that covers the action besides the required ones, or why the action is denied.

    `missing` is the scope that would cover it, if there is one.
    """

    scope: str | None = None
    is_denied: bool = False
    missing: str | None = None


UNCONCERNED = Covering()


def find_covering(question: Question, token: TokenFacts, terms: Terms, policy_set: PolicySet | None) -> Covering:
    """Return which scope covers the action. `policy_set` is the service's that asks or is named, else the agent's."""
    action = question.request.action
    if action is None:
        return UNCONCERNED
    covers = catalogue_actions().find(action)
    if covers is None:
        actions = policy_set.actions if policy_set else NO_ACTIONS
        covers = actions.find(action)
        if covers is None and _was_reserved(action, actions, terms):
            covers = ()
    return UNCONCERNED if covers is None else _choose(covers, question.request.required_scopes, token, terms)


def _was_reserved(action: str, actions: Actions, terms: Terms) -> bool:
    """Return whether scopes with the prefix of the action covered actions when the user granted one of them.

    What they cover now may be less, and a word of the service would be allowed. Not for other organizations' scopes.
    """
    prefix = action.strip().lower().partition(":")[0]
    return any(scope.partition(":")[0] == prefix and scope in actions.covers for scope in terms.editions)


def _choose(covers: Sequence[Cover], required: Sequence[str], token: TokenFacts, terms: Terms) -> Covering:
    """Return a required scope, else the granted one of the lowest risk."""
    granted = [each.scope for each in covers if each.scope in token.granted_scopes and _is_agreed(each, token, terms)]
    if not granted:
        return Covering(is_denied=True, missing=covers[0].scope if covers else None)
    if any(scope in required for scope in granted):
        return UNCONCERNED
    return Covering(granted[0])


def _is_agreed(cover: Cover, token: TokenFacts, terms: Terms) -> bool:
    """Return whether the scope covered the action when the user granted it, or the token has no user."""
    return token.consent_id is None or cover.edition <= terms.editions.get(cover.scope, 0)
