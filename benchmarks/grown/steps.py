"""The steps of a measurement that run inside Django, by name."""

import os
from collections.abc import Callable
from itertools import chain
from typing import Any

from benchmarks.grown import log, sweeps
from benchmarks.grown.dataset import Dataset, describe
from benchmarks.grown.log_visits import log_pages
from benchmarks.grown.measuring import measure
from benchmarks.grown.sizes import Sizes
from benchmarks.grown.visits import Visitors, administration, api, oauth, pages
from benchmarks.grown.writes import Writes
from benchmarks.machine import memory_of

CONNECTIONS = 5000

Step = Callable[[Any], dict[str, Any]]


def fill(sizes: dict[str, int]) -> dict[str, Any]:
    """Fill the database. Return the numbers of rows, and the credentials for the visits."""
    dataset = Dataset(Sizes(**sizes))
    return {"credentials": dataset.fill(), "rows": describe()}


def visit(credentials: dict[str, str]) -> dict[str, Any]:
    """Make every visit and every write. Return what they took, and the memory of the process afterwards."""
    visitors = Visitors(credentials)
    reads = chain(pages(visitors), api(visitors), log_pages(visitors), oauth(visitors), administration(visitors))
    visits = measure(chain(reads, Writes(visitors).visits()))
    return {"visits": visits, "visiting_mb": round(memory_of([os.getpid()])[0])}


def clear(rows: int) -> dict[str, Any]:
    """Make so many expired rows of each kind, and sweep them."""
    return {"sweeps": sweeps.measure(rows)}


def grow(entries: int) -> dict[str, Any]:
    """Add so many entries to the log, about connections that have no rows."""
    ids = [f"{number:032x}" for number in range(CONNECTIONS)]
    log.fill([log.Connection(f"cns_{one}", f"agt_{one}", f"org_{one}", f"usr_{one}") for one in ids], entries, 0)
    return {"entries": entries}


STEPS: dict[str, Step] = {"fill": fill, "visit": visit, "clear": clear, "log": grow}
