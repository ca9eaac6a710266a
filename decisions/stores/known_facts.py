"""The facts of tokens and callers that this process has read, by the versions of their rows in PostgreSQL.

A batch reads the versions, and facts only where rows have changed, because six numbers take less time than 25 columns.
A row's version is the transaction that wrote it (`xmin`), so each change has another one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from decisions.facts import CallerFacts, TokenFacts, Versions, is_short
from decisions.memory import Bounded
from decisions.stores.pipeline import Pipeline
from decisions.stores.statements import Statement, Step, Trip

MAX_KNOWN = 16_384
REMEMBERED = frozenset({Statement.TOKENS, Statement.CALLERS})

type Remembered = TokenFacts | CallerFacts


class KnownFacts:
    def __init__(self) -> None:
        self._known: Bounded[str, tuple[Versions, Remembered]] = Bounded(MAX_KNOWN)
        """By the token's id, or the digest of the caller's secret."""

    def forget(self) -> None:
        """Forget everything: a database that was restored, or another one, can have other rows of the same versions."""
        self._known.clear()

    async def run(self, pipeline: Pipeline, trip: Trip) -> Sequence[Sequence[Any]]:
        """Run a trip and return the rows of each of its steps. Facts that are not known take another trip."""
        wanted = {step.statement: step.parameters[0] for step in trip.steps if step.statement in REMEMBERED}
        if not wanted:
            return await pipeline.run(trip)
        asked = Step(Statement.VERSIONS, (wanted.get(Statement.TOKENS, ()), wanted.get(Statement.CALLERS, ())))
        hold, *others = [step for step in trip.steps if step.statement not in REMEMBERED]
        held, current, *rows = await pipeline.run(replace(trip, steps=[hold, asked, *others]))
        facts = await self._facts(pipeline, wanted, {versions.key: versions for versions in current})
        return list(_in_order(trip.steps, facts, iter([held, *rows])))

    async def _facts(
        self, pipeline: Pipeline, wanted: dict[Statement, Sequence[str]], current: dict[str, Versions]
    ) -> dict[Statement, list[Remembered]]:
        """Return the wanted facts of rows with these versions, by the statement that reads them."""
        found: dict[Statement, list[Remembered]] = {}
        missing: list[Step] = []
        for statement, keys in wanted.items():
            known = {key: self._known.get(key) for key in keys if key in current}
            found[statement] = [each[1] for key, each in known.items() if each and each[0] == current[key]]
            unknown = [key for key, each in known.items() if not each or each[0] != current[key]]
            missing += [Step(statement, (unknown,))] if unknown else []
        if missing:
            for step, rows in zip(missing, await pipeline.run(Trip(missing)), strict=True):
                found[step.statement] += rows
                self._remember(rows, current)
        return found

    def _remember(self, rows: Sequence[Remembered], current: dict[str, Versions]) -> None:
        """Remember facts that were read after their versions. If a row has changed in between, it is read again.

        A version never comes back, but the emergency stop does, so it must be the same in both.
        """
        for facts in rows:
            versions = current[facts[0]]
            is_same = not isinstance(facts, TokenFacts) or facts.is_everything_stopped == versions.is_everything_stopped
            if is_same and is_short(facts):
                self._known[versions.key] = versions, facts


def _in_order(
    steps: Sequence[Step], facts: dict[Statement, list[Remembered]], others: Iterator[Sequence[Any]]
) -> Iterator[Sequence[Any]]:
    """Yield the rows of each step."""
    for step in steps:
        remembered = facts.get(step.statement)
        yield next(others) if remembered is None else remembered
