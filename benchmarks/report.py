"""Results as tables: in the terminal, and in Markdown for README.md and docs/performance.md."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks import results
from benchmarks.goals import outcomes

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
    yield row("goal", "must", "stretch", "measured", "")
    yield rule(5)
    for outcome in outcomes(run):
        goal, sign = outcome.goal, "≤" if outcome.goal.is_upper else "≥"
        value = NONE if outcome.value is None else f"{outcome.value:.3g}"
        yield row(goal.text, f"{sign} {goal.must:g}", f"{sign} {goal.stretch:g}", value, outcome.verdict)


def other(run: results.Run) -> Iterator[str]:
    """Yield the token endpoints, the consent page and the memory, by store."""
    found = run.get("other", [])
    yield row("", *(STORES[each["store"]] for each in found))
    yield rule(1 + len(found))
    for name in ("exchange", "refresh", "consent page"):
        yield row(f"{name}, per second", *(f"{each['rates'][name]['rate']:,.0f}" for each in found))
        yield row(f"{name}, p99 in ms", *(f"{each['rates'][name]['p99_ms']:.0f}" for each in found))
    yield row("memory of a process after the run, MB", *(f"{max(each['memory_mb']):.0f}" for each in found))


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
    "benchmark_other": last_of("ratios", other),
    "benchmark_growth": last_of("growth", growth),
    "benchmark_summary": last_of("ratios", readme),
}
