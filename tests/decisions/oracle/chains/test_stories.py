"""The product agrees with an independent model about work that was handed on, whatever ends, returns or narrows."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.conf import settings

from core import clock
from tests.decisions.drivers import Decide
from tests.decisions.oracle.chains.story import Story

# To replay a story that failed, write its number into STORIES.
STORIES, DELEGATIONS = (1,), 60
LONG_STORIES, MANY_DELEGATIONS = range(100, 120), 200

SetClock = Callable[[datetime], None]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    monkeypatch.setattr(settings, "ACCESS_TOKEN_LIFETIME", timedelta(days=2))
    moments: list[datetime] = []
    monkeypatch.setattr(clock, "now", lambda: moments[-1])
    return moments.append


@pytest.mark.parametrize("number", STORIES)
def test_the_product_agrees_about_a_tree(decide: Decide, set_clock: SetClock, number: int) -> None:
    tell(Story(number, decide, set_clock), DELEGATIONS)


@pytest.mark.soak
@pytest.mark.both_drivers
@pytest.mark.parametrize("number", LONG_STORIES)
def test_the_product_agrees_about_large_trees(decide: Decide, set_clock: SetClock, number: int) -> None:
    tell(Story(number, decide, set_clock), MANY_DELEGATIONS)


def tell(story: Story, delegations: int) -> None:
    """Tell the story. Fail if it is too uniform to show anything."""
    story.tell(delegations)
    seen = story.seen
    assert seen["allowed"] > seen["calls"] * 0.03, seen
    assert seen["handed over: None"] > delegations * 0.1, seen
