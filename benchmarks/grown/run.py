"""Measure every page and endpoint, each sweep, and sign-ins, on a database that has grown for a long time."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.grown import sign_ins
from benchmarks.grown.sizes import Sizes
from benchmarks.machine import describe
from benchmarks.ratios import say
from benchmarks.stores import opened, printed

MODULE = "benchmarks.grown"
EXPIRED = 20_000


def run(folder: Path) -> results.Run:
    """Fill a PostgreSQL database, measure, and return the result."""
    found = results.start("grown", describe())
    with opened("postgresql", folder) as store:
        say("filling the database, which takes a few minutes")
        seeded = store.filled(MODULE, json.dumps({"fill": asdict(Sizes())}))
        found["rows"] = seeded.given["rows"]
        variables = seeded.database.environment
        say("every page, endpoint and write")
        found |= _step("visit", seeded.given["credentials"], variables)
        say(f"{EXPIRED} expired rows of each kind")
        found |= _step("clear", EXPIRED, variables)
        say("sign-ins")
        found["sign_ins"] = sign_ins.measure(store, seeded)
    return found


def _step(name: str, argument: Any, variables: dict[str, str]) -> dict[str, Any]:
    return printed(MODULE, json.dumps({name: argument}), variables)
