"""The store on PostgreSQL: connections of its own, in pipeline mode."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from core.timeouts import STATEMENT_SECONDS
from decisions.conversation import Conversation, converse, ping
from decisions.questions import Question
from decisions.requests import Decision
from decisions.stores.base import Committing, StoreUnavailable, ignore
from decisions.stores.known_facts import KnownFacts
from decisions.stores.pipeline import BadBatch, Pipeline


class PostgresqlStore:
    """Decides batches on connections that it opens when it needs them: a second one for a batch beside a commit."""

    reads_beside_commits = True

    def __init__(self, conninfo: str) -> None:
        self._conninfo = make_conninfo(conninfo, application_name="agentgate verify")
        self._idle: list[Pipeline] = []
        self._known = KnownFacts()

    async def decide(
        self, questions: Sequence[Question], seconds: float = inf, committing: Committing = ignore
    ) -> list[Decision]:
        conversation = converse(questions, is_serial=False, seconds=seconds)
        return await self._within(lambda pipeline: self._run(pipeline, conversation, committing))

    async def ping(self, *, writes: bool = True) -> None:
        await self._within(lambda pipeline: pipeline.run(ping(writes=writes)))

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def _within[Result](self, work: Callable[[Pipeline], Awaitable[Result]]) -> Result:
        """Do some work on a connection within `STATEMENT_SECONDS`. Close it if it may be in an unknown state."""
        pipeline: Pipeline | None = None
        try:
            async with asyncio.timeout(STATEMENT_SECONDS):
                pipeline = await self._take()
                result = await work(pipeline)
        except BadBatch:
            if pipeline is not None:
                self._idle.append(pipeline)
            raise
        except BaseException as error:
            if pipeline is not None:
                await pipeline.close()
            if isinstance(error, TimeoutError | psycopg.Error | OSError):
                raise _lost(error, pipeline) from error
            raise
        self._idle.append(pipeline)
        return result

    async def _run(self, pipeline: Pipeline, conversation: Conversation, committing: Committing) -> list[Decision]:
        rows: Any = None
        while True:
            try:
                trip = conversation.send(rows)
            except StopIteration as end:
                decisions: list[Decision] = end.value
                return decisions
            if trip.commits:
                committing(trip.decided)
            rows = await self._known.run(pipeline, trip)

    async def _take(self) -> Pipeline:
        while self._idle:
            pipeline = self._idle.pop()
            if not pipeline.is_lost:
                return pipeline
            await pipeline.close()
        self._known.forget()
        return await Pipeline.open(self._conninfo)


def _lost(error: BaseException, pipeline: Pipeline | None) -> StoreUnavailable:
    may_have_committed = pipeline is not None and pipeline.is_committing
    if isinstance(error, TimeoutError):
        return StoreUnavailable("timeout", "PostgreSQL did not answer in time.", may_have_committed=may_have_committed)
    return StoreUnavailable("connection", str(error).strip(), may_have_committed=may_have_committed)


def conninfo_of(settings: dict[str, Any]) -> str:
    """Return libpq's connection string for Django's database settings."""
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    given = {name: str(settings[key]) for name, key in names.items() if settings.get(key)}
    return make_conninfo(**{**settings.get("OPTIONS", {}), **given})
