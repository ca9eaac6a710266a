"""Results as tables: in the terminal, and in Markdown for README.md and docs/performance.md."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks import results

STORES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "postgresql_2ms": "PostgreSQL with fdatasync of 2 ms"}
TITLES = {
    "floor": "Django JSON view, no database (the floor)",
    "naive": "the naive reference: DRF, ORM, a counter row, one INSERT",
    "dot_bearer": "django-oauth-toolkit, introspection, Bearer",
    "dot_basic": "django-oauth-toolkit, introspection, Basic",
    "oidc_redis": "node oidc-provider, introspection, Redis, two processes",
}
SHORT = {"floor": "a Django JSON view without a database", "naive": "verify written as a DRF view with the ORM"}
STORES_IN_README = ("sqlite", "postgresql")
IN_README = ("floor", "naive", "dot_bearer", "dot_basic", "oidc_redis")
AT = 32
UPSTREAMS = {"stdio": "a process, over stdio", "http": "an HTTP endpoint"}
# A text, what must be reached, the stretch goal, and where a run has the figure: the part, the store, the connections,
# and names in the block. A stretch goal below the other means that less is better.
GOALS: tuple[tuple[str, float, float, str], ...] = (
    ("÷ floor, PostgreSQL, 32 connections", 0.32, 0.4, "blocks postgresql 32 ratios floor rate median"),
    ("÷ floor, PostgreSQL, 128 connections", 0.45, 0.55, "blocks postgresql 128 ratios floor rate median"),
    ("÷ floor, PostgreSQL, 8 connections", 0.19, 0.25, "blocks postgresql 8 ratios floor rate median"),
    ("÷ floor, SQLite, 32 connections", 0.36, 0.45, "blocks sqlite 32 ratios floor rate median"),
    ("p99 ÷ floor's, PostgreSQL, 32 connections", 2.5, 1.5, "blocks postgresql 32 ratios floor p99 median"),
    ("p99 ÷ floor's, SQLite, 32 connections", 1.0, 0.9, "blocks sqlite 32 ratios floor p99 median"),
    ("÷ oidc-provider, Redis, two processes", 0.6, 1.0, "blocks postgresql 32 ratios oidc_redis rate median"),
    ("CPU µs of the sequencer per entry, PostgreSQL", 40, 25, "blocks postgresql 32 targets verify us_per_entry"),
    ("exchange per second, PostgreSQL", 500, 1000, "issuing postgresql 8 targets exchange rate"),
    ("exchange per second, SQLite", 500, 1000, "issuing sqlite 8 targets exchange rate"),
    ("refresh per second, PostgreSQL", 600, 1200, "issuing postgresql 8 targets refresh rate"),
    ("refresh per second, SQLite", 600, 1200, "issuing sqlite 8 targets refresh rate"),
    ("p99 ÷ p50 of exchange, PostgreSQL", 4, 2.5, "issuing postgresql 8 targets exchange tail"),
    ("p99 ÷ p50 of exchange, SQLite", 4, 2.5, "issuing sqlite 8 targets exchange tail"),
    ("p99 ÷ p50 of refresh, PostgreSQL", 4, 2.5, "issuing postgresql 8 targets refresh tail"),
    ("p99 ÷ p50 of refresh, SQLite", 4, 2.5, "issuing sqlite 8 targets refresh tail"),
)
PARTS = ("server", "sequencer", "database", "load")
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
    yield row("", "requests/s", "p50, p99 in ms", "cores: server, sequencer, database, load generator", "foreign")
    yield rule(5)
    for block in _all_blocks(run):
        yield row(f"**{_head(block)} connections**", "", "", _circumstances(block), "")
        for name, target in block["targets"].items():
            cores = target["cores"]
            parts = ", ".join(f"{cores[part]:.2f}" for part in PARTS)
            latencies = f"{target['p50_ms']:.1f}, {target['p99_ms']:.1f}"
            yield row(TITLES.get(name, name), f"{target['rate']:,.0f}", latencies, parts, f"{cores['foreign']:.2f}")


def costs(run: results.Run) -> Iterator[str]:
    """Yield the CPU time that each part spends on a request: of verify, the floor, exchange and refresh."""
    yield row("CPU in µs per request", *PARTS[:-1], "load generator", "all", "sequencer, per entry")
    yield rule(7)
    for block in _all_blocks(run):
        for name in ("verify", "floor", "exchange", "refresh"):
            if target := block["targets"].get(name):
                cores, per_entry = target["cores"], target.get("us_per_entry")
                spent = {part: 1e6 * cores[part] / target["rate"] for part in PARTS}
                figures = [f"{spent[part]:.0f}" for part in PARTS]
                figures.append(f"{sum(spent.values()):.0f}")
                yield row(f"{name}, {_head(block)}", *figures, f"{per_entry:.0f}" if per_entry else NONE)


def goals(run: results.Run) -> Iterator[str]:
    """Yield each goal with its figure and whether it is met."""
    yield row("goal", "must", "stretch", "measured", "")
    yield rule(5)
    for text, must, stretch, place in GOALS:
        value, sign = _figure(run, place), 1 if stretch > must else -1
        limits = (f"{'≥' if sign > 0 else '≤'} {each:,g}" for each in (must, stretch))
        yield row(text, *limits, *_verdict(value, must, stretch, sign))


def _figure(run: results.Run, place: str) -> float | None:
    """Return the figure at a place that `GOALS` names, or None if the run did not measure it."""
    part, store, connections, *names = place.split()
    found: Any = {(block["store"], block["connections"]): block for block in run.get(part, ())}
    for name in ((store, int(connections)), *names):
        found = found.get(name, {})
    return found if found != {} else None


def _verdict(value: float | None, must: float, stretch: float, sign: int) -> tuple[str, str]:
    if value is None:
        return NONE, "not measured"
    reached = [text for limit, text in ((must, "met"), (stretch, "stretch met")) if value * sign >= limit * sign]
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}", ["missed", *reached][-1]


def _all_blocks(run: results.Run) -> list[dict[str, Any]]:
    return [*run["blocks"], *run.get("issuing", ())]


def growth(run: results.Run) -> Iterator[str]:
    """Yield how verify ÷ floor changes as data and load grow."""
    yield row("store", "what grows", "to", "verify ÷ floor", "verifies/s", "p50, p99 in ms")
    yield rule(6)
    for point in run["points"]:
        latencies = f"{point['p50_ms']:.1f}, {point['p99_ms']:.1f}"
        ratio = _spread(point["ratio"], "rate")
        yield row(STORES[point["store"]], point["what"], point["to"], ratio, f"{point['rate']:,.0f}", latencies)


def following(run: results.Run) -> Iterator[str]:
    """Yield verify with a worker that follows the log ÷ verify without it."""
    yield row("store", "connections", "rate", "p99", "verifies/s", "followed per second")
    yield rule(6)
    for point in run["points"]:
        ratio = [_spread(point["ratio"], part) for part in ("rate", "p99")]
        rates = (f"{point[name]:,.0f}" for name in ("rate", "routed"))
        yield row(STORES[point["store"]], str(point["connections"]), *ratio, *rates)


def delegating(run: results.Run) -> Iterator[str]:
    """Yield what verify of work that was handed on takes, as multiples of what an ordinary one takes."""
    yield row("store", "connections", "chain", "rate", "p50 ÷", "CPU µs per request ÷", "verifies/s", "p50 in ms")
    yield rule(8)
    for block in run["blocks"]:
        plain = block["targets"]["verify"]
        for name, target in block["targets"].items():
            ratio = block["ratios"].get(name)
            parts = [f"{_spent(target) / _spent(plain):.3g}", f"{target['rate']:,.0f}", f"{target['p50_ms']:.1f}"]
            slower = f"{target['p50_ms'] / plain['p50_ms']:.3g}"
            where = STORES[block["store"]], str(block["connections"])
            yield row(*where, name, _spread(ratio, "rate"), slower, *parts)


def gateway(run: results.Run) -> Iterator[str]:
    """Yield what the gateway takes besides verify, as multiples of what FastMCP's bare proxy takes."""
    yield row("upstream", "gateway without verify ÷ bare proxy", "p50 in ms: gateway, its verify, bare proxy", "store")
    yield rule(4)
    for block in run["blocks"]:
        ratio, p50 = block["ratio"], block["p50_ms"]
        spread = f"{ratio['median']:.3g} ({ratio['min']:.3g} to {ratio['max']:.3g})"
        times = ", ".join(f"{p50[name]:.1f}" for name in ("gateway", "verify", "bare"))
        yield row(UPSTREAMS[block["upstream"]], spread, times, STORES[block["store"]])


def _spent(target: Mapping[str, Any]) -> float:
    """Return the CPU time that the server and the database spend on a request."""
    cores = target["cores"]
    return float((cores["server"] + cores["database"]) / target["rate"])


def readme(run: results.Run) -> Iterator[str]:
    """Yield the short table for the README."""
    at = [block for block in run["blocks"] if block["connections"] == AT and block["store"] in STORES_IN_README]
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


TABLES = (ratios, figures, costs, goals)
# The tables in the documentation, by the name in their marker.
BLOCKS = {
    "benchmark_ratios": last_of("ratios", ratios),
    "benchmark_figures": last_of("ratios", figures),
    "benchmark_costs": last_of("ratios", costs),
    "benchmark_goals": last_of("ratios", goals),
    "benchmark_growth": last_of("growth", growth),
    "benchmark_gateway": last_of("gateway", gateway),
    "benchmark_summary": last_of("ratios", readme),
}
