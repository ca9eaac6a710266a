"""The facts of tokens that this process has read, by the versions of their rows in PostgreSQL.

A batch reads the versions, and facts only of tokens whose rows have changed, because six numbers take less
time than 25 columns. A row's version is the transaction that wrote it (`xmin`), so each change has another one.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from decisions.facts import TokenFacts, TokenVersions
from decisions.memory import Bounded
from decisions.stores.pipeline import Pipeline
from decisions.stores.statements import Statement, Step, Trip

MAX_KNOWN = 16_384


class KnownTokens:
    def __init__(self) -> None:
        self._known: Bounded[str, tuple[TokenVersions, TokenFacts]] = Bounded(MAX_KNOWN)

    async def run(self, pipeline: Pipeline, trip: Trip) -> list[Sequence[Any]]:
        """Run a trip and return its rows. If it reads tokens, those that are not known take another trip."""
        place = next((place for place, step in enumerate(trip.steps) if step.statement is Statement.TOKENS), None)
        if place is None:
            return await pipeline.run(trip)
        rows = await pipeline.run(replace(trip, steps=_with_versions(trip.steps, place)))
        rows[place] = await self._facts(pipeline, rows[place])
        return rows

    async def _facts(self, pipeline: Pipeline, current: Sequence[TokenVersions]) -> list[TokenFacts]:
        """Return the facts of tokens with these versions."""
        facts, missing = [], {}
        for versions in current:
            known = self._known.get(versions.token_id)
            if known is not None and known[0] == versions:
                facts.append(known[1])
            else:
                missing[versions.token_id] = versions
        if missing:
            (read,) = await pipeline.run(Trip([Step(Statement.TOKENS, (list(missing),))]))
            facts += read
            self._remember(missing, read)
        return facts

    def _remember(self, versions: dict[str, TokenVersions], read: Sequence[TokenFacts]) -> None:
        """Remember facts that were read after their versions. If a row has changed in between, it is read again."""
        for facts in read:
            if facts.is_short:
                self._known[facts.token_id] = versions[facts.token_id], facts


def _with_versions(steps: Sequence[Step], place: int) -> list[Step]:
    return [*steps[:place], Step(Statement.TOKEN_VERSIONS, steps[place].parameters), *steps[place + 1 :]]
