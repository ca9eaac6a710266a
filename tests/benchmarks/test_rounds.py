"""Pairs, their ratios, and which of them count."""

from itertools import count

import pytest

from benchmarks.machine import CpuMeter, Usage
from benchmarks.rounds import Protocol, Round, Sample, measure, summary
from benchmarks.wrk import Measured

PROTOCOL = Protocol(pairs=3)


def make_sample(rate: float, p99: float = 10, foreign: float = 0) -> Sample:
    return Sample(Measured(rate, 5, p99, 100), Usage(1, 0.3, 0.5, 0.2, foreign), sequenced=2000)


def make_round(verify: float, floor: float, foreign: float = 0) -> Round:
    return {"verify": make_sample(verify, p99=20), "floor": make_sample(floor, foreign=foreign)}


def test_a_ratio_is_the_median_of_the_pairs_not_the_ratio_of_the_medians() -> None:
    rounds = [make_round(10, 100), make_round(30, 100), make_round(50, 200)]

    ratio = summary(rounds, PROTOCOL)["ratios"]["floor"]

    assert ratio["rate"] == {"median": 0.25, "min": 0.1, "max": 0.3}
    assert ratio["p99"]["median"] == 2
    assert (ratio["pairs"], ratio["discarded"], ratio["quiet"]) == (3, 0, True)


def test_a_pair_with_foreign_cpu_on_either_side_does_not_count() -> None:
    rounds = [make_round(10, 100)] * 3 + [make_round(90, 100, foreign=0.4)] * 2

    ratio = summary(rounds, PROTOCOL)["ratios"]["floor"]

    assert ratio["rate"] == {"median": 0.1, "min": 0.1, "max": 0.1}
    assert (ratio["pairs"], ratio["discarded"], ratio["quiet"]) == (3, 2, True)


def test_without_enough_quiet_pairs_all_are_used_and_the_ratio_says_so() -> None:
    rounds = [make_round(10, 100)] * 2 + [make_round(20, 100, foreign=1)] * 4

    ratio = summary(rounds, PROTOCOL)["ratios"]["floor"]

    assert (ratio["rate"]["median"], ratio["pairs"], ratio["quiet"]) == (0.2, 6, False)


@pytest.mark.parametrize(("foreign", "expected"), [(0.0, 3), (1.0, 6)])
def test_rounds_go_on_until_enough_pairs_count(foreign: float, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    order = []

    def take(target: "FakeTarget", *_: object) -> Sample:
        order.append(target.name)
        return make_sample(100, foreign=foreign)

    monkeypatch.setattr("benchmarks.rounds.sample", take)
    targets = [FakeTarget("verify"), FakeTarget("floor")]

    done = measure(targets, {"verify": None, "floor": None}, None, [], 32, PROTOCOL)  # type: ignore[arg-type]

    assert len(done) == expected
    assert order[:4] == ["verify", "floor", "floor", "verify"]


def test_the_sequencer_is_counted_apart_from_the_server_that_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = count()
    monkeypatch.setattr("benchmarks.machine._tree_seconds", lambda pid: pid * next(reads))

    usage = CpuMeter([5], [2], [3]).stop()

    # Each group is read twice, and the second time comes three reads after the first.
    assert usage.server / usage.sequencer == pytest.approx((5 * 3 - 2 * 3) / (2 * 3))
    assert usage.database / usage.sequencer == pytest.approx(3 / 2)


def test_the_time_per_entry_is_that_of_the_entries_moved_meanwhile() -> None:
    verify = summary([make_round(1000, 100)], PROTOCOL)["targets"]["verify"]

    assert (verify["us_per_entry"], verify["tail"]) == (150, 4)


class FakeTarget:
    def __init__(self, name: str) -> None:
        self.name = name

    def check(self) -> None:
        pass
