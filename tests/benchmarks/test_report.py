"""Goals and tables."""

from typing import Any

import pytest

from benchmarks import report, results


def make_run(rate: float, p99: float = 1.2, *, quiet: bool = True) -> dict[str, Any]:
    def spread(value: float) -> dict[str, float]:
        return {"median": value, "min": value / 2, "max": value * 2}

    ratio = {"rate": spread(rate), "p99": spread(p99), "pairs": 7, "discarded": 0, "quiet": quiet}
    verify = {"rate": 9000.0, "p50_ms": 3.0, "p99_ms": 9.0}
    verify["cores"] = {"server": 1.0, "database": 0.5, "load": 0.2, "foreign": 0.0}  # type: ignore[assignment]
    block = {"store": "postgresql", "connections": 32, "fdatasync_p50_ms": 0.1}
    return {
        "started": "2026-11-25T14:00:00+00:00",
        "commit": "abc1234",
        "blocks": [{**block, "ratios": {"floor": ratio}, "targets": {"verify": verify}}],
    }


@pytest.mark.parametrize(("rate", "p99", "verdict"), [(0.5, 1.2, "met"), (0.4, 1.6, "missed")])
def test_each_goal_has_a_verdict(rate: float, p99: float, verdict: str) -> None:
    found = [line.split(" | ")[-1].removesuffix(" |\n") for line in report.goals(make_run(rate, p99))][2:]

    assert len(found) == len(report.GOALS) + 1
    assert (found[0], found[-1]) == (verdict, verdict)
    assert set(found[1:-1]) == {"not measured"}


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
