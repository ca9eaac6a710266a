"""What the catalogue says that a scope cannot do, verify denies; what a scope covers, verify allows."""

from collections.abc import Iterator
from typing import Any

import pytest

from resources.actions import action_titles
from resources.catalogue import catalogue
from tests.decisions.drivers import asking, decide_on_django
from tests.shared import rows_of_module
from tests.world import grant_to, make_agent, make_developer, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def tokens(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, str]]:
    """Return a token for each scope alone. Its agent may ask for everything, so only the grant denies."""
    everything = list(catalogue())
    with rows_of_module(django_db_blocker):
        user, developer = make_user("ada@example.com"), make_developer("dev@example.com")
        agents = {scope: make_agent(developer, name=scope, allowed_scopes=everything) for scope in everything}
        yield {scope: grant_to(agent, user, [scope]) for scope, agent in agents.items()}


def excluded() -> Iterator[tuple[str, str]]:
    return ((it.id, action) for it in catalogue().values() for action in it.excludes)


def test_the_catalogue_names_an_action_for_each_cannot() -> None:
    """Only `agents:delegate` has none: what it cannot do is no action of its own."""
    assert [it.id for it in catalogue().values() if not it.excludes] == ["agents:delegate"]


def test_each_cannot_is_denied_as_an_action(tokens: dict[str, str]) -> None:
    """Whatever scope the service requires, here the one that the user granted."""
    pairs = [*excluded()]
    for start in range(0, len(pairs), 50):
        part = pairs[start : start + 50]
        decided = decide_on_django(*(asking(tokens[scope], scope, action=action) for scope, action in part))
        reasons = dict(zip(part, (each.reason for each in decided), strict=True))
        assert {pair: reason for pair, reason in reasons.items() if reason != "insufficient_scope"} == {}
        for (scope, _), decision in zip(part, decided, strict=True):
            assert scope not in decision.missing_scopes


def test_each_cannot_that_is_a_scope_is_denied_as_one(tokens: dict[str, str]) -> None:
    pairs = [(scope, action) for scope, action in excluded() if action in catalogue()]
    decided = decide_on_django(*(asking(tokens[scope], action) for scope, action in pairs))
    assert {each.reason for each in decided} == {"insufficient_scope"}
    assert [each.missing_scopes for each in decided] == [(action,) for _, action in pairs]


def test_each_covered_action_is_granted(tokens: dict[str, str]) -> None:
    pairs = [(it.id, action) for it in catalogue().values() for action in (it.id, *it.covers)]
    for start in range(0, len(pairs), 50):
        part = pairs[start : start + 50]
        decided = decide_on_django(*(asking(tokens[scope], scope, action=action) for scope, action in part))
        reasons = {pair: each.reason for pair, each in zip(part, decided, strict=True)}
        asks = {pair: "approval_required" if catalogue()[pair[0]].always_asks else None for pair in part}
        assert reasons == asks


def test_any_other_action_with_a_reserved_prefix_is_denied(tokens: dict[str, str]) -> None:
    """Each action of the catalogue is asked with each scope of its prefix that neither is it nor covers it."""
    pairs = [
        (it.id, action)
        for it in catalogue().values()
        for action in [*action_titles(), f"{it.id}:more"]
        if action.partition(":")[0] == it.id.partition(":")[0] and action not in (it.id, *it.covers)
    ]
    for start in range(0, len(pairs), 50):
        part = pairs[start : start + 50]
        decided = decide_on_django(*(asking(tokens[scope], scope, action=action) for scope, action in part))
        assert {each.reason for each in decided} == {"insufficient_scope"}
