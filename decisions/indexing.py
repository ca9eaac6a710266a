"""Under which scopes a decision is found and counted in the log.

A caller can ask for any scope. An index of made-up ones would grow with each call, and so would the analytics of all
organizations that the call concerns. So only scopes that exist for them have a name there, and only a few per decision.
"""

from collections.abc import Collection, Sequence
from itertools import islice

from decisions.facts import ScopeFacts, TokenFacts
from resources.catalogue import catalogue

# Real requests need one to three scopes.
MAX_INDEXED = 10


def unknown_scopes(required: Sequence[str], token: TokenFacts | None) -> list[str]:
    """Return those of the first scopes that must be looked up: neither in the catalogue nor granted by the token."""
    known = catalogue()
    others = [scope for scope in _first(required) if scope not in known]
    granted = token.scope.split() if others and token else ()
    return [scope for scope in others if scope not in granted]


def scopes_to_index(
    required: Sequence[str], token: TokenFacts | None, own: Sequence[ScopeFacts], organizations: Collection[str | None]
) -> tuple[str, ...] | None:
    """Return the scopes under which the log has the decision, or None if these are all that were required.

    They are among the first `MAX_INDEXED`: scopes of the catalogue, of the token, and those `own` scopes that one of
    the two organizations defines.
    """
    defined = {scope.scope_id for scope in own if scope.organization_id in organizations}
    unknown = {*unknown_scopes(required, token)} - defined
    indexed = tuple(scope for scope in _first(required) if scope not in unknown)
    return None if len(indexed) == len({*required}) else indexed


def _first(required: Sequence[str]) -> list[str]:
    """Return the first scopes without duplicates."""
    return list(islice(dict.fromkeys(required), MAX_INDEXED))
