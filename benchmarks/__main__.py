"""Measure AgentGate beside references: `./dev bench`. See docs/performance.md."""

import argparse
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import delegating, following, gateway, growth, issuing, ratios, report, results
from benchmarks.machine import describe
from benchmarks.pages import run as pages
from benchmarks.pages.report import TABLES as PAGES_TABLES
from benchmarks.ratios import Plan, say
from benchmarks.rounds import Protocol
from benchmarks.stores import SLOW, SLOW_STORES, STORES, Open, opened, prepare_environment
from benchmarks.targets import REFERENCES
from benchmarks.wrk import require_wrk

QUICK = Plan(
    connections=(32,),
    references=("floor", "naive", "dot"),
    protocol=Protocol(pairs=2, warm_up=1, seconds=2, max_foreign=float("inf")),
)


def main() -> None:
    options = parse()
    if not (options.pages or options.gateway):
        require_wrk()
    prepare_environment()
    with tempfile.TemporaryDirectory(prefix="agentgate-bench-") as folder:
        open_store = partial(opened, folder=Path(folder), processes=options.processes, socket=options.socket)
        if options.quick:
            quick(options, open_store)
        elif options.pages:
            finish(pages.run(options.store or STORES, open_store), options, *PAGES_TABLES)
        elif options.following:
            finish(following.run(options.store or STORES, options.protocol, open_store), options, report.following)
        elif options.delegating:
            finish(delegating.run(options.store or STORES, options.protocol, open_store), options, report.delegating)
        elif options.gateway:
            finish(gateway.run(options.store or ["sqlite"], options.protocol, open_store), options, report.gateway)
        elif options.growth:
            finish(growth.run(options.store or STORES, options.protocol, open_store), options, report.growth)
        else:
            finish(whole(options, open_store), options, *report.TABLES)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one store, under a minute; ends in one line of JSON")
    parser.add_argument("--growth", action="store_true", help="measure verify as the log grows")
    parser.add_argument("--pages", action="store_true", help="measure pages, endpoints and writes with much data")
    parser.add_argument("--following", action="store_true", help="measure verify while a worker follows the log")
    parser.add_argument("--delegating", action="store_true", help="measure verify of work that was handed on")
    parser.add_argument("--gateway", action="store_true", help="measure the MCP gateway beside FastMCP's bare proxy")
    parser.add_argument("--issuing", action="store_true", help="measure only exchange and refresh")
    parser.add_argument("--store", choices=(*STORES, *SLOW_STORES), action="append", help="default: all; see the page")
    parser.add_argument("--processes", type=int, help="of the product, default 2 (SQLite: 1)")
    parser.add_argument("--socket", action="store_true", help="connect to PostgreSQL by its Unix socket")
    parser.add_argument("--connections", type=numbers, help="comma-separated, only of verify; default 8,32,128")
    parser.add_argument("--references", type=names, help=f"comma-separated, of {', '.join(REFERENCES)}")
    parser.add_argument("--pairs", type=int, help="measurements of each pair, default 7 (--quick: 2)")
    parser.add_argument("--seconds", type=int, help="of each measurement, default 4 (--quick: 2)")
    parser.add_argument("--warm-up", type=int, help="seconds before each measurement, default 2 (--quick: 1)")
    parser.add_argument("--max-foreign", type=float, help="cores of foreign CPU above which a pair does not count")
    parser.add_argument("--save", action="store_true", help=f"write the result to {results.FOLDER.name}/")
    options = parser.parse_args()
    options.protocol = protocol(options, QUICK.protocol if options.quick else Protocol())
    return options


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def names(text: str) -> list[str]:
    found = [part for part in text.split(",") if part]
    unknown = set(found) - set(REFERENCES)
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return found


def protocol(options: argparse.Namespace, default: Protocol) -> Protocol:
    return Protocol(
        pairs=options.pairs or default.pairs,
        warm_up=options.warm_up or default.warm_up,
        seconds=options.seconds or default.seconds,
        max_foreign=default.max_foreign if options.max_foreign is None else options.max_foreign,
    )


def whole(options: argparse.Namespace, open_store: Open) -> results.Run:
    """Measure the ratios, and then exchange and refresh, on each store."""
    run = results.start("ratios", describe())
    run |= {"protocol": vars(options.protocol), "socket": options.socket, "blocks": [], "issuing": []}
    for name in options.store or (*STORES, *(() if options.issuing else SLOW_STORES)):
        with open_store(name) as store:
            if not options.issuing:
                run["blocks"] += ratios.measure(store, plan_for(name, options))
            if options.issuing or (name in STORES and options.connections is None):
                run["issuing"].append(issuing.measure(store, options.protocol))
    return run


def plan_for(name: str, options: argparse.Namespace) -> Plan:
    """Return what to measure on a store: on the slow one by default only what has a goal."""
    default = Plan(connections=(32,), references=("floor",)) if name == SLOW else Plan()
    return Plan(options.connections or default.connections, options.references or default.references, options.protocol)


def quick(options: argparse.Namespace, open_store: Open) -> None:
    """Measure one store and print one line of JSON."""
    plan = Plan(
        connections=(options.connections or QUICK.connections)[:1],
        references=options.references or QUICK.references,
        protocol=options.protocol,
    )
    with open_store((options.store or ["postgresql"])[0]) as store:
        (block,) = ratios.measure(store, plan)
    print(json.dumps(line(block)))  # noqa: T201


def line(block: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of a quick run."""
    found = {name: ratio["rate"]["median"] for name, ratio in block["ratios"].items()}
    return {
        "verify_over_floor": found.get("floor"),
        "verify_over_naive": found.get("naive"),
        "verify_over_dot": found.get("dot_bearer"),
        "verify_over_dot_basic": found.get("dot_basic"),
        "p99_over_floor": block["ratios"]["floor"]["p99"]["median"] if "floor" in found else None,
        "store": block["store"],
        "workers": block["workers"],
        "connections": block["connections"],
        "verify_per_second": block["targets"]["verify"]["rate"],
        "fdatasync_p50_ms": block["fdatasync_p50_ms"],
        "foreign_cores": max(target["cores"]["foreign"] for target in block["targets"].values()),
        "answers": block["answers"],
        "entries": block["entries"],
    }


def finish(run: results.Run, options: argparse.Namespace, *tables: Any) -> None:
    """Print the tables, and store the run if that is wanted."""
    for table in tables:
        print("".join(table(run)))  # noqa: T201
    if options.save:
        say(f"saved {results.save(run)}; `./dev fix` puts it into the documentation")


if __name__ == "__main__":
    main()
