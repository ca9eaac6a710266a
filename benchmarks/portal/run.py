"""Measure every page of the portal and of the administrator's desk, on a database with much data, on each store."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import results
from benchmarks.machine import describe
from benchmarks.portal.sizes import Sizes
from benchmarks.ratios import say
from benchmarks.stores import opened, printed

MODULE = "benchmarks.portal"
TIMES = 15
# The simulator is visited more often than a developer may use it.
UNTHROTTLED = {"THROTTLE_SIMULATE": "1000000/minute"}


def run(stores: Sequence[str], folder: Path, times: int = TIMES) -> results.Run:
    """Fill a database of each kind, make each visit so many times, and return the result."""
    found = results.start("portal", describe())
    found |= {"sizes": asdict(Sizes()), "times": times, "stores": {}}
    for name in stores:
        with opened(name, folder) as store:
            say(f"{name}: filling the database, which takes some minutes")
            seeded = store.filled(MODULE, json.dumps({"fill": found["sizes"]}))
            say(f"{name}: every page")
            visit = {"visit": {"credentials": seeded.given["credentials"], "times": times}}
            variables = seeded.database.environment | UNTHROTTLED
            found["stores"][name] = printed(MODULE, json.dumps(visit), variables)["visits"]
    return found
