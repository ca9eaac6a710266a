"""Measure every page, endpoint and write on a database with much data, on each store."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks import results
from benchmarks.machine import describe
from benchmarks.pages.report import summarize
from benchmarks.pages.sizes import Sizes
from benchmarks.ratios import say
from benchmarks.stores import Open, printed

MODULE = "benchmarks.pages"
TIMES = 15


def run(stores: Sequence[str], opened: Open) -> results.Run:
    """Fill a database of each kind, make each visit `TIMES` times, and return the result."""
    found = results.start("pages", describe())
    found |= {"sizes": asdict(Sizes()), "times": TIMES, "stores": {}}
    for name in stores:
        with opened(name) as store:
            say(f"{name}: filling the database, which takes some minutes")
            seeded = store.filled(MODULE, json.dumps({"fill": found["sizes"]}))
            say(f"{name}: every page, endpoint and write")
            argument = json.dumps({"visit": {"credentials": seeded.given, "times": TIMES}})
            visits = printed(MODULE, argument, seeded.database.environment)["visits"]
            found["stores"][name] = summarize(visits)
    return found
