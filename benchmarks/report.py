"""Results as tables: in the terminal, and in Markdown for README.md and docs/performance.md."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks import results

STORES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
TITLES = {
    "floor": "Django JSON view, no database (the floor)",
    "naive": "the naive reference: DRF, ORM, a counter row, one INSERT",
    "dot_bearer": "django-oauth-toolkit, introspection, Bearer",
    "dot_basic": "django-oauth-toolkit, introspection, Basic",
    "oidc_memory": "node oidc-provider, introspection, memory, one process",
    "oidc_redis": "node oidc-provider, introspection, Redis, two processes",
}
SHORT = {"floor": "a Django JSON view without a database", "naive": "verify written as a DRF view with the ORM"}
IN_README = ("floor", "naive", "dot_bearer", "dot_basic", "oidc_redis")
AT = 32
# A text, the store, the connections, the reference, and the ratio that verify must reach.
GOALS = (
    ("÷ floor, PostgreSQL, 32 connections", "postgresql", AT, "floor", 0.45),
    ("÷ floor, PostgreSQL, 128 connections", "postgresql", 128, "floor", 0.6),
    ("÷ floor, PostgreSQL, 8 connections", "postgresql", 8, "floor", 0.2),
    ("÷ floor, SQLite, 32 connections", "sqlite", AT, "floor", 0.4),
    ("÷ naive reference", "postgresql", AT, "naive", 15),
    ("÷ django-oauth-toolkit, Bearer", "postgresql", AT, "dot_bearer", 15),
    ("÷ django-oauth-toolkit, Basic", "postgresql", AT, "dot_basic", 9),
    ("÷ oidc-provider, Redis, two processes", "postgresql", AT, "oidc_redis", 1.1),
)
MAX_P99 = 1.5
NONE = "-"


def ratios(run: results.Run) -> Iterator[str]:
    """Yield the ratios of verify to each reference, by store and connections."""
    blocks = run["blocks"]
    names = [name for name in TITLES if any(name in block["ratios"] for block in blocks)]
    yield row("verify ÷ (by store and connections)", *(_head(block) for block in blocks))
    yield rule(1 + len(blocks))
    for name in names:
        yield row(TITLES[name], *(_spread(block["ratios"].get(name), "rate") for block in blocks))
    yield row("p99 of verify ÷ floor's", *(_spread(block["ratios"].get("floor"), "p99") for block in blocks))


def figures(run: results.Run) -> Iterator[str]:
    """Yield what each target did, by store and connections."""
    yield row("", "requests/s", "p50, p99 in ms", "cores: server, database, load generator", "foreign")
    yield rule(5)
    for block in run["blocks"]:
        yield row(f"**{_head(block)} connections**", "", "", _circumstances(block), "")
        for name, target in block["targets"].items():
            cores = target["cores"]
            parts = f"{cores['server']:.2f}, {cores['database']:.2f}, {cores['load']:.2f}"
            latencies = f"{target['p50_ms']:.1f}, {target['p99_ms']:.1f}"
            yield row(TITLES.get(name, name), f"{target['rate']:,.0f}", latencies, parts, f"{cores['foreign']:.2f}")


def goals(run: results.Run) -> Iterator[str]:
    """Yield each goal with its ratio and whether it is met."""
    yield row("goal", "must", "measured", "")
    yield rule(4)
    for text, store, connections, reference, must in GOALS:
        value = _measured(run, store, connections, reference, "rate")
        yield row(text, f"≥ {must:g}", *_verdict(value, value is not None and value >= must))
    value = _measured(run, "postgresql", AT, "floor", "p99")
    yield row(
        "p99 ÷ floor's p99, PostgreSQL", f"≤ {MAX_P99:g}", *_verdict(value, value is not None and value <= MAX_P99)
    )


def _measured(run: results.Run, store: str, connections: int, reference: str, measure: str) -> float | None:
    """Return the ratio to a reference, or None if the run did not measure it."""
    found = (block for block in run["blocks"] if (block["store"], block["connections"]) == (store, connections))
    block: dict[str, Any] = next(found, {"ratios": {}})
    ratio = block["ratios"].get(reference)
    return ratio[measure]["median"] if ratio else None


def _verdict(value: float | None, is_met: bool) -> tuple[str, str]:
    return (NONE, "not measured") if value is None else (f"{value:.3g}", "met" if is_met else "missed")


def growth(run: results.Run) -> Iterator[str]:
    """Yield how verify ÷ floor changes as data and load grow."""
    yield row("store", "what grows", "to", "verify ÷ floor", "verifies/s", "p50, p99 in ms")
    yield rule(6)
    for point in run["points"]:
        latencies = f"{point['p50_ms']:.1f}, {point['p99_ms']:.1f}"
        ratio = _spread(point["ratio"], "rate")
        yield row(STORES[point["store"]], point["what"], point["to"], ratio, f"{point['rate']:,.0f}", latencies)


def readme(run: results.Run) -> Iterator[str]:
    """Yield the short table for the README."""
    at = [block for block in run["blocks"] if block["connections"] == AT]
    yield row("verify ÷", *(_head(block).partition(",")[0] for block in at))
    yield rule(1 + len(at))
    for name in IN_README:
        cells = [_median(block["ratios"].get(name)) for block in at]
        yield row(SHORT.get(name, TITLES[name]), *cells)


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def rule(columns: int) -> str:
    return "|" + "---|" * columns + "\n"


def _head(block: Mapping[str, Any]) -> str:
    return f"{STORES[block['store']]}, {block['connections']}"


def _circumstances(block: Mapping[str, Any]) -> str:
    return (
        f"fdatasync p50 {block['fdatasync_p50_ms']:.2f} ms; log complete after {block['drain_seconds']:.1f} s; "
        f"largest process {max(block['memory_mb'])} MB"
    )


def _spread(ratio: Mapping[str, Any] | None, measure: str) -> str:
    if ratio is None:
        return NONE
    found = ratio[measure]
    noisy = "" if ratio["quiet"] else " (noisy)"
    return f"{found['median']:.3g} ({found['min']:.3g} to {found['max']:.3g}){noisy}"


def _median(ratio: Mapping[str, Any] | None) -> str:
    return NONE if ratio is None else f"{ratio['rate']['median']:.3g}"


def last_of(kind: str, table: Any) -> Any:
    """Return a function that yields the table of the last stored run, or nothing before the first run."""

    def generate() -> Iterator[str]:
        run = results.last(kind)
        if run is not None:
            yield from table(run)
            yield f"\nFrom `benchmarks/results/{kind}.json`: commit `{run['commit']}`, {run['started'][:10]}.\n\n"

    return generate


# The tables in the documentation, by the name in their marker.
BLOCKS = {
    "benchmark_ratios": last_of("ratios", ratios),
    "benchmark_figures": last_of("ratios", figures),
    "benchmark_goals": last_of("ratios", goals),
    "benchmark_growth": last_of("growth", growth),
    "benchmark_summary": last_of("ratios", readme),
}
