"""Measure every page of the portal and of the administrator's desk, on a database with much data, on each store."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.machine import describe
from benchmarks.portal.sizes import Sizes
from benchmarks.ratios import say
from benchmarks.stores import opened, printed

MODULE = "benchmarks.portal"
# The simulator is visited more often than a developer may use it.
UNTHROTTLED = {"THROTTLE_SIMULATE": "1000000/minute"}


def run(stores: Sequence[str], folder: Path) -> results.Run:
    """Fill a database of each kind, measure, and return the result."""
    found = results.start("portal", describe())
    found |= {"sizes": asdict(Sizes()), "stores": {}}
    for name in stores:
        with opened(name, folder) as store:
            say(f"{name}: filling the database, which takes some minutes")
            seeded = store.filled(MODULE, json.dumps({"fill": found["sizes"]}))
            say(f"{name}: every page")
            found["stores"][name] = _visits(seeded.given["credentials"], seeded.database.environment)
    return found


def _visits(credentials: dict[str, str], variables: dict[str, str]) -> list[dict[str, Any]]:
    visits: list[dict[str, Any]] = printed(MODULE, json.dumps({"visit": credentials}), variables | UNTHROTTLED)[
        "visits"
    ]
    return visits
