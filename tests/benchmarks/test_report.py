"""Goals and tables."""

from typing import Any

import pytest

from benchmarks import report, results


def make_run(rate: float, p99: float = 1.2, *, quiet: bool = True) -> dict[str, Any]:
    def spread(value: float) -> dict[str, float]:
        return {"median": value, "min": value / 2, "max": value * 2}

    ratio = {"rate": spread(rate), "p99": spread(p99), "pairs": 7, "discarded": 0, "quiet": quiet}
    cores = {"server": 0.9, "sequencer": 0.36, "database": 0.45, "load": 0.09, "foreign": 0.0}
    verify = {"rate": 9000.0, "p50_ms": 3.0, "p99_ms": 9.0, "tail": 3.0, "cores": cores, "us_per_entry": 40.0}
    block = {"store": "postgresql", "fdatasync_p50_ms": 0.1, "drain_seconds": 0.3, "memory_mb": [150]}
    refresh = {**verify, "rate": 1300.0}
    return {
        "started": "2026-11-25T14:00:00+00:00",
        "commit": "abc1234",
        "blocks": [{**block, "connections": 32, "ratios": {"floor": ratio}, "targets": {"verify": verify}}],
        "issuing": [{**block, "connections": 8, "targets": {"refresh": refresh}}],
    }


@pytest.mark.parametrize(
    ("rate", "p99", "verdict"), [(0.32, 2.5, "met"), (0.31, 2.6, "missed"), (0.4, 1.5, "stretch met")]
)
def test_each_goal_has_a_verdict(rate: float, p99: float, verdict: str) -> None:
    rows = [line.removesuffix(" |\n").split(" | ") for line in report.goals(make_run(rate, p99))][2:]
    found = {row[0].removeprefix("| "): row[3:] for row in rows}

    measured = {
        "÷ floor, PostgreSQL, 32 connections": [f"{rate:g}", verdict],
        "p99 ÷ floor's, PostgreSQL, 32 connections": [f"{p99:g}", verdict],
        "CPU µs of the sequencer per entry, PostgreSQL": ["40", "met"],
        "refresh per second, PostgreSQL": ["1,300", "stretch met"],
        "p99 ÷ p50 of refresh, PostgreSQL": ["3", "met"],
    }
    assert len(found) == len(report.GOALS)
    assert {name: found.pop(name) for name in measured} == measured
    assert set(map(tuple, found.values())) == {("-", "not measured")}


def test_what_a_request_costs_is_listed_by_part() -> None:
    table = "".join(report.costs(make_run(0.5)))

    assert "| verify, PostgreSQL, 32 | 100 | 40 | 50 | 10 | 200 | 40 |" in table
    assert "| refresh, PostgreSQL, 8 | 692 | 277 | 346 | 69 | 1385 | 40 |" in table
    assert "0.90, 0.36, 0.45, 0.09" in "".join(report.figures(make_run(0.5)))


def test_a_noisy_ratio_is_marked() -> None:
    assert "0.5 (0.25 to 1) (noisy)" in "".join(report.ratios(make_run(0.5, quiet=False)))
    assert "noisy" not in "".join(report.ratios(make_run(0.5)))


def test_the_last_stored_run_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    assert "".join(report.BLOCKS["benchmark_summary"]()) == ""

    for hour, rate in ((14, 0.5), (15, 0.61)):
        results.save({"kind": "ratios", **make_run(rate), "started": f"2026-11-25T{hour}:00:00+00:00"})

    assert "| 0.61 |" in "".join(report.BLOCKS["benchmark_summary"]())
    assert "From `benchmarks/results/ratios.json`: commit `abc1234`, 2026-11-25." in "".join(
        report.BLOCKS["benchmark_summary"]()
    )
    assert [path.name for path in tmp_path.iterdir()] == ["ratios.json"]
