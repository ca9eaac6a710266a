"""The store on PostgreSQL: one connection of its own, in pipeline mode."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from decisions.conversation import Conversation, converse, ping
from decisions.questions import Question
from decisions.requests import Decision
from decisions.stores.base import STORE_SECONDS, StoreUnavailable
from decisions.stores.pipeline import BadBatch, Pipeline


class PostgresqlStore:
    """Decides batches on a connection that it opens when it needs one."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = make_conninfo(conninfo, application_name="agentgate verify")
        self._pipeline: Pipeline | None = None

    async def decide(self, questions: Sequence[Question], seconds: float = inf) -> list[Decision]:
        conversation = converse(questions, is_serial=False, seconds=seconds)
        return await self._within(lambda pipeline: _run(pipeline, conversation))

    async def ping(self, *, writes: bool = True) -> None:
        await self._within(lambda pipeline: pipeline.run(ping(writes=writes)))

    async def close(self) -> None:
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            await pipeline.close()

    async def _within[Result](self, work: Callable[[Pipeline], Awaitable[Result]]) -> Result:
        """Do some work on the connection within `STORE_SECONDS`. Close it if it may be in an unknown state."""
        try:
            async with asyncio.timeout(STORE_SECONDS):
                return await work(await self._open())
        except TimeoutError as error:
            raise await self._lost("timeout", "PostgreSQL did not answer in time.") from error
        except (psycopg.Error, OSError) as error:
            raise await self._lost("connection", str(error).strip()) from error
        except BadBatch:
            raise
        except BaseException:
            await self.close()
            raise

    async def _lost(self, kind: str, detail: str) -> StoreUnavailable:
        may_have_committed = self._pipeline is not None and self._pipeline.is_committing
        await self.close()
        return StoreUnavailable(kind, detail, may_have_committed=may_have_committed)

    async def _open(self) -> Pipeline:
        if self._pipeline is not None and self._pipeline.is_lost:
            await self.close()
        if self._pipeline is None:
            self._pipeline = await Pipeline.open(self._conninfo)
        return self._pipeline


async def _run(pipeline: Pipeline, conversation: Conversation) -> list[Decision]:
    rows: Any = None
    while True:
        try:
            trip = conversation.send(rows)
        except StopIteration as end:
            decisions: list[Decision] = end.value
            return decisions
        rows = await pipeline.run(trip)


def conninfo_of(settings: dict[str, Any]) -> str:
    """Return libpq's connection string for Django's database settings."""
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    given = {name: str(settings[key]) for name, key in names.items() if settings.get(key)}
    return make_conninfo(**{**settings.get("OPTIONS", {}), **given})
