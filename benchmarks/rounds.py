"""Measure targets in turn, and compare the product with each reference in pairs.

A round measures each target once, warmed up; every other round goes in the opposite order, so that neither side always
comes first. A pair is the product and one reference in the same round. It counts only if foreign processes used little
CPU during both measurements.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import wrk
from benchmarks.log import Log
from benchmarks.machine import CpuMeter, Usage
from benchmarks.targets import Target

PRODUCT = "verify"


@dataclass(frozen=True)
class Protocol:
    """How to measure. After twice as many rounds as `pairs`, those that counted must be enough."""

    pairs: int = 7
    warm_up: int = 2
    seconds: int = 4
    max_foreign: float = 0.3


@dataclass(frozen=True)
class Sample:
    """One measurement of one target. `sequenced` is the entries per second that were moved to the log meanwhile."""

    measured: wrk.Measured
    usage: Usage
    sequenced: float = 0


@dataclass(frozen=True)
class Pair:
    product: Sample
    reference: Sample

    @property
    def foreign(self) -> float:
        return max(self.product.usage.foreign, self.reference.usage.foreign)

    @property
    def rate(self) -> float:
        return self.product.measured.rate / self.reference.measured.rate

    @property
    def p99(self) -> float:
        return self.product.measured.p99 / self.reference.measured.p99


Round = dict[str, Sample]


def measure(
    targets: Sequence[Target],
    scripts: Mapping[str, Path],
    log: Log,
    databases: Sequence[int],
    connections: int,
    protocol: Protocol,
) -> list[Round]:
    """Return rounds until each reference has enough pairs that count, or twice as many rounds."""
    done: list[Round] = []

    def run(target: Target) -> Sample:
        target.check()
        script = scripts[target.name]
        return sample(target, (script, script), databases, connections, protocol, log)

    while len(done) < 2 * protocol.pairs and not _is_enough(done, targets, protocol):
        order = targets if len(done) % 2 == 0 else targets[::-1]
        done.append({target.name: run(target) for target in order})
    return done


def _is_enough(done: Sequence[Round], targets: Sequence[Target], protocol: Protocol) -> bool:
    names = [target.name for target in targets if target.name != PRODUCT]
    if not names:
        return len(done) >= protocol.pairs
    return all(
        sum(pair.foreign <= protocol.max_foreign for pair in pairs(done, name)) >= protocol.pairs for name in names
    )


def sample(
    target: Target,
    scripts: tuple[Path, Path],
    databases: Sequence[int],
    connections: int,
    protocol: Protocol,
    log: Log,
    threads: int = 1,
) -> Sample:
    """Warm up a target with the first script, and measure it with the second. Of the product, also check the log."""
    load = partial(wrk.run, target.url, connections=connections, threads=threads)
    warm_up = load(scripts[0], seconds=protocol.warm_up)
    before, began = log.size(), time.monotonic()
    cpu = CpuMeter(target.pids, target.sequencers, databases)
    measured = load(scripts[1], seconds=protocol.seconds)
    usage = cpu.stop()
    sequenced = (log.size() - before) / (time.monotonic() - began)
    if not measured.answers:
        raise RuntimeError(f"{target.name} answered nothing in {protocol.seconds} seconds")
    if target.sequencers:
        log.expect(warm_up.answers + measured.answers)
    return Sample(measured, usage, sequenced)


def pairs(rounds: Iterable[Round], name: str) -> list[Pair]:
    return [Pair(each[PRODUCT], each[name]) for each in rounds]


def summary(rounds: Sequence[Round], protocol: Protocol) -> dict[str, Any]:
    """Return the medians of each target, and the ratios of the product to each reference."""
    names = list(rounds[0]) if rounds else []
    return {
        "targets": targets_of(rounds),
        "ratios": {name: _ratio(pairs(rounds, name), protocol) for name in sorted(names) if name != PRODUCT},
    }


def targets_of(rounds: Sequence[Round]) -> dict[str, Any]:
    return {name: _target(rounds, name) for name in rounds[0]} if rounds else {}


def _target(rounds: Sequence[Round], name: str) -> dict[str, Any]:
    samples = [each[name] for each in rounds]

    def median(of: Callable[[Sample], float], digits: int) -> float:
        return round(statistics.median(map(of, samples)), digits)

    return {
        "rate": median(lambda each: each.measured.rate, 0),
        "p50_ms": median(lambda each: each.measured.p50, 2),
        "p99_ms": median(lambda each: each.measured.p99, 2),
        "tail": median(lambda each: each.measured.p99 / each.measured.p50, 2),
        "cores": {field.name: median(partial(_cores, part=field.name), 4) for field in fields(Usage)},
        "us_per_entry": median(_microseconds_per_entry, 1),
    }


def _microseconds_per_entry(sample: Sample) -> float:
    return 1e6 * sample.usage.sequencer / sample.sequenced if sample.sequenced else 0


def _cores(sample: Sample, part: str) -> float:
    cores: float = getattr(sample.usage, part)
    return cores


def _ratio(found: Sequence[Pair], protocol: Protocol) -> dict[str, Any]:
    """Return the ratios of the pairs that count. If too few do, use all of them and say so with `quiet: false`."""
    kept = [pair for pair in found if pair.foreign <= protocol.max_foreign]
    is_quiet = len(kept) >= min(protocol.pairs, 3)
    used = kept if is_quiet else found
    return {
        "rate": spread(pair.rate for pair in used),
        "p99": spread(pair.p99 for pair in used),
        "pairs": len(used),
        "discarded": len(found) - len(used),
        "quiet": is_quiet,
    }


def spread(values: Iterable[float]) -> dict[str, float]:
    found = sorted(values)
    return {"median": _short(statistics.median(found)), "min": _short(found[0]), "max": _short(found[-1])}


def _short(value: float) -> float:
    """Round to three significant digits."""
    return float(f"{value:.3g}")
