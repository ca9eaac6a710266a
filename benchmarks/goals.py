"""The goals for verify, as ratios in one run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Goal:
    """A ratio that must reach `must`, or for `is_upper` must not exceed it. `measure` is "rate" or "p99"."""

    text: str
    store: str
    connections: int
    reference: str
    must: float
    stretch: float
    measure: str = "rate"
    is_upper: bool = False

    def is_met(self, value: float) -> bool:
        return value <= self.must if self.is_upper else value >= self.must

    def is_stretched(self, value: float) -> bool:
        return value <= self.stretch if self.is_upper else value >= self.stretch


GOALS = (
    Goal("÷ floor, PostgreSQL, 32 connections", "postgresql", 32, "floor", 0.45, 0.7),
    Goal("÷ floor, PostgreSQL, 128 connections", "postgresql", 128, "floor", 0.6, 0.85),
    Goal("÷ floor, PostgreSQL, 8 connections", "postgresql", 8, "floor", 0.2, 0.3),
    Goal("÷ floor, SQLite, 32 connections", "sqlite", 32, "floor", 0.4, 0.55),
    Goal("÷ naive reference", "postgresql", 32, "naive", 15, 30),
    Goal("÷ django-oauth-toolkit, Bearer", "postgresql", 32, "dot_bearer", 15, 25),
    Goal("÷ django-oauth-toolkit, Basic", "postgresql", 32, "dot_basic", 9, 15),
    Goal("÷ oidc-provider, Redis, two processes", "postgresql", 32, "oidc_redis", 1.1, 1.6),
    Goal("p99 ÷ floor's p99, PostgreSQL", "postgresql", 32, "floor", 1.5, 1.0, measure="p99", is_upper=True),
)


@dataclass(frozen=True)
class Outcome:
    """A goal with the ratio that a run measured, or None if it did not measure this."""

    goal: Goal
    value: float | None

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.goal.is_stretched(self.value):
            return "stretch goal met"
        return "met" if self.goal.is_met(self.value) else "missed"


def outcomes(run: Mapping[str, Any]) -> Iterator[Outcome]:
    """Yield each goal with its ratio in this run."""
    blocks = {(block["store"], block["connections"]): block for block in run["blocks"]}
    for goal in GOALS:
        block = blocks.get((goal.store, goal.connections), {"ratios": {}})
        ratio = block["ratios"].get(goal.reference)
        yield Outcome(goal, ratio[goal.measure]["median"] if ratio else None)
