"""The steps of a measurement that run inside Django, by name."""

from collections.abc import Callable
from itertools import chain
from typing import Any

from benchmarks.pages import log
from benchmarks.pages.dataset import Dataset
from benchmarks.pages.entries import Story, strangers
from benchmarks.pages.measuring import measure
from benchmarks.pages.sizes import Sizes
from benchmarks.pages.visits import Visitors, visits
from benchmarks.pages.writes import writes

STRANGERS = 5_000

type Step = Callable[[Any], dict[str, Any]]


def fill(sizes: dict[str, int]) -> dict[str, Any]:
    """Fill the database. Return the credentials for the visits."""
    return Dataset(Sizes(**sizes)).fill()


def visit(given: dict[str, Any]) -> dict[str, Any]:
    """Make every visit and every write with these credentials, and return what each took."""
    visitors = Visitors(given["credentials"])
    return {"visits": measure(chain(visits(visitors), writes(visitors)), times=given["times"])}


def grow(entries: int) -> dict[str, Any]:
    """Add `entries` entries to the log, about connections that have no rows."""
    log.write(Story(strangers(STRANGERS)).drafts(entries), entries)
    return {"entries": entries}


STEPS: dict[str, Step] = {"fill": fill, "visit": visit, "grow": grow}
