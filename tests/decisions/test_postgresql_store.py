"""The store on PostgreSQL when the server, the connection or a lock fails it."""

import asyncio
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from secrets import token_hex
from typing import Any

import psutil
import psycopg
import pytest
from django.db import connection

from decisions.questions import Question
from decisions.requests import Decision, Reason
from decisions.stores import postgresql
from decisions.stores.base import Store, StoreUnavailable
from decisions.stores.pipeline import BadBatch, Pipeline
from decisions.stores.postgresql import PostgresqlStore, conninfo_of
from decisions.stores.statements import Statement, Trip
from resources.models import ResourceServer
from tests.decisions.drivers import EventLoop, allowed, asking, caller_of, limit, questions, written_rows
from tests.servers import free_port
from tests.world import Grant, mean_for
from tokens.models import AccessToken

pytestmark = pytest.mark.django_db(transaction=True)

BACKENDS = """
    SELECT pid, coalesce(wait_event_type = 'Lock', false) FROM pg_stat_activity
    WHERE application_name = 'agentgate verify' AND datname = current_database()
"""


@pytest.fixture(autouse=True)
def _only_on_postgresql(db: None) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("about PostgreSQL")


@pytest.fixture
def conninfo() -> str:
    return conninfo_of(connection.settings_dict)


@pytest.fixture
def admin(conninfo: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection that tests may use while the event loop runs."""
    with psycopg.connect(conninfo, autocommit=True) as admin:
        yield admin


@pytest.fixture
def asked(grant: Grant) -> list[Question]:
    return questions(asking(grant.access_token))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "STATEMENT_SECONDS", 0.3)


def backends(admin: psycopg.Connection[Any]) -> dict[int, bool]:
    """Return the ids of the stores' backends, and whether each waits for a lock."""
    return dict(admin.execute(BACKENDS).fetchall())


def kill_backends(admin: psycopg.Connection[Any]) -> None:
    for pid in backends(admin):
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@contextmanager
def locked_counters(conninfo: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(conninfo) as holder:
        holder.execute("SELECT 1 FROM limits_counter FOR UPDATE")
        yield holder


@contextmanager
def killing_repeatedly(conninfo: str) -> Iterator[None]:
    """Kill the stores' backends at random moments, in a thread."""
    done = threading.Event()

    def kill() -> None:
        with psycopg.connect(conninfo, autocommit=True) as admin:
            while not done.wait(random.random() * 0.02):
                kill_backends(admin)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


async def _decide_repeatedly(store: Store, asked: list[Question], seconds: float) -> dict[str, float]:
    """Return what happened, each with the longest time that it took."""
    outcomes: dict[str, float] = {}
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        try:
            await store.decide(asked)
            outcome = "decided"
        except StoreUnavailable as error:
            outcome = error.kind
        outcomes[outcome] = max(outcomes.get(outcome, 0), time.monotonic() - began)
    return outcomes


async def until_it_waits(admin: psycopg.Connection[Any]) -> None:
    async with asyncio.timeout(5):
        while True not in backends(admin).values():
            await asyncio.sleep(0.01)


async def unavailable(work: Awaitable[object]) -> str:
    """Return the kind of the failure."""
    with pytest.raises(StoreUnavailable) as failed:
        await work
    return failed.value.kind


class TestLostConnections:
    def test_one_that_was_lost_while_idle_fails_no_batch(
        self, loop: EventLoop, asked: list[Question], admin: psycopg.Connection[Any]
    ) -> None:
        store = loop.make_store()
        for _ in range(3):
            assert allowed(loop.run(store.decide(asked))) == [True]
            kill_backends(admin)
            loop.run(asyncio.sleep(0.05))
        assert allowed(loop.run(store.decide(asked))) == [True]
        assert len(backends(admin)) == 1

    def test_one_that_was_lost_while_idle_takes_no_time(
        self, loop: EventLoop, asked: list[Question], admin: psycopg.Connection[Any]
    ) -> None:
        loop.run(loop.first.decide(asked))
        kill_backends(admin)
        began = time.process_time()
        loop.run(asyncio.sleep(0.5))
        assert time.process_time() - began < 0.1

    def test_one_that_is_lost_during_a_batch_fails_it_and_not_the_next(
        self, loop: EventLoop, grant: Grant, conninfo: str, admin: psycopg.Connection[Any]
    ) -> None:
        limit(grant, 3)
        asked = questions(asking(grant.access_token))
        store = loop.make_store()
        loop.run(store.decide(asked))

        async def lose_it() -> str:
            deciding = asyncio.ensure_future(store.decide(asked))
            await until_it_waits(admin)
            kill_backends(admin)
            return await unavailable(deciding)

        with locked_counters(conninfo):
            assert loop.run(lose_it()) == "connection"
        assert allowed(loop.run(store.decide(asked * 3))) == [True, True, False], "the lost batch counted nothing"
        assert len(backends(admin)) == 1

    def test_one_that_is_lost_at_any_moment_is_noticed_at_once(
        self, loop: EventLoop, asked: list[Question], conninfo: str
    ) -> None:
        """A server that ends with unread input resets the connection, which uvloop does not report."""
        store = loop.make_store()
        with killing_repeatedly(conninfo):
            outcomes = loop.run(_decide_repeatedly(store, asked, seconds=3))
        assert {"decided", "connection"} <= outcomes.keys() <= {"decided", "connection", "statement"}
        assert max(outcomes.values()) < 1, "seconds"

    def test_closing_ends_it(self, loop: EventLoop, asked: list[Question], admin: psycopg.Connection[Any]) -> None:
        store = loop.make_store()
        loop.run(store.decide(asked))
        loop.run(store.close())
        loop.run(store.close())
        loop.run(asyncio.sleep(0.1))
        assert not backends(admin)
        assert allowed(loop.run(store.decide(asked))) == [True]


class TestWaiting:
    def test_a_lock_that_is_not_released_in_time(
        self, loop: EventLoop, grant: Grant, conninfo: str, admin: psycopg.Connection[Any], impatient: None
    ) -> None:
        limit(grant, 3)
        asked = questions(asking(grant.access_token))
        store = loop.make_store()
        loop.run(store.decide(asked))

        with locked_counters(conninfo):
            began = time.monotonic()
            assert loop.run(unavailable(store.decide(asked))) == "timeout"
            assert 0.2 < time.monotonic() - began < 3, "it waits for its own time, not for the usual one"

        assert allowed(loop.run(store.decide(asked * 3))) == [True, True, False], "the late batch counted nothing"
        assert len(backends(admin)) == 1

    @pytest.mark.parametrize(("table", "is_unknown"), [("consent_consent", False), ("audit_journal", True)])
    def test_only_a_batch_whose_commit_was_sent_may_have_been_committed(
        self, loop: EventLoop, asked: list[Question], conninfo: str, impatient: None, table: str, is_unknown: bool
    ) -> None:
        store = loop.make_store()
        loop.run(store.decide(asked))
        with psycopg.connect(conninfo) as holder:
            holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(StoreUnavailable) as failed:
                loop.run(store.decide(asked))
        assert (failed.value.kind, failed.value.may_have_committed) == ("timeout", is_unknown)

    def test_a_counter_that_is_swept_meanwhile_is_created_again(
        self, loop: EventLoop, grant: Grant, conninfo: str, admin: psycopg.Connection[Any]
    ) -> None:
        limit(grant, 2)
        asked = questions(asking(grant.access_token))
        store = loop.make_store()
        loop.run(store.decide(asked))

        async def sweep(holder: psycopg.Connection[Any]) -> list[Decision]:
            deciding = asyncio.ensure_future(store.decide(asked * 3))
            await until_it_waits(admin)
            holder.execute("DELETE FROM limits_counter")
            holder.commit()
            return await deciding

        with locked_counters(conninfo) as holder:
            assert allowed(loop.run(sweep(holder))) == [True, True, False]

    @pytest.mark.parametrize("work", ["decide", "ping"])
    def test_a_server_that_does_not_answer(
        self, loop: EventLoop, asked: list[Question], impatient: None, work: str
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            store = PostgresqlStore(f"host=127.0.0.1 port={silent.getsockname()[1]} user=x")
            before = len(psutil.Process().net_connections())
            for _ in range(3):
                assert loop.run(unavailable(store.ping() if work == "ping" else store.decide(asked))) == "timeout"
            assert len(psutil.Process().net_connections()) <= before + 3, "only what the silent server holds"


class TestRefusals:
    @pytest.mark.parametrize("work", ["decide", "ping"])
    def test_a_server_that_is_not_there(self, loop: EventLoop, asked: list[Question], work: str) -> None:
        store = PostgresqlStore(f"host=127.0.0.1 port={free_port()} user=x")
        assert loop.run(unavailable(store.ping() if work == "ping" else store.decide(asked))) == "connection"

    def test_a_read_only_server(self, loop: EventLoop, asked: list[Question], conninfo: str) -> None:
        store = PostgresqlStore(f"{conninfo} options='-c default_transaction_read_only=on'")
        try:
            assert loop.run(unavailable(store.decide(asked))) == "statement"
            assert loop.run(unavailable(store.ping())) == "statement", "what cannot write cannot decide"
        finally:
            loop.run(store.close())
        assert written_rows() == []

    def test_a_database_without_our_tables(self, loop: EventLoop, asked: list[Question], conninfo: str) -> None:
        store = PostgresqlStore(f"{conninfo} options='-c search_path=nowhere'")
        assert loop.run(unavailable(store.decide(asked))) == "statement"

    def test_a_value_that_it_refuses_costs_no_connection(
        self, loop: EventLoop, grant: Grant, admin: psycopg.Connection[Any]
    ) -> None:
        limit(grant, 2)
        credential = caller_of(grant)
        good = asking(grant.access_token, credential=credential)
        bad = good._replace(credential=replace(credential, digest="\0"))
        store = loop.make_store()
        assert allowed(loop.run(store.decide(questions(good)))) == [True]
        before = backends(admin)

        with pytest.raises(BadBatch):
            loop.run(store.decide(questions(good, bad)))

        assert allowed(loop.run(store.decide(questions(good, good)))) == [True, False], "the bad batch counted nothing"
        assert backends(admin) == before


STOP = "INSERT INTO agents_emergencystop (id, stopped_at, reason) VALUES (1, now(), 'Drill')"
CHANGES = {
    "UPDATE tokens_accesstoken SET scope = 'calendar:read'": Reason.INSUFFICIENT_SCOPE,
    "UPDATE tokens_tokenfamily SET revoked_at = now()": Reason.TOKEN_REVOKED,
    "UPDATE agents_agent SET stopped_at = now()": Reason.AGENT_SUSPENDED,
    "UPDATE accounts_user SET is_active = false": Reason.USER_INACTIVE,
    "UPDATE consent_consent SET status = 'revoked'": Reason.CONSENT_REVOKED,
    "UPDATE developers_organization SET suspended_at = now()": Reason.ORGANIZATION_SUSPENDED,
    "UPDATE developers_organization SET stopped_at = now()": Reason.ORGANIZATION_STOPPED,
    "UPDATE developers_organization SET deletes_at = now()": Reason.ORGANIZATION_STOPPED,
    STOP: Reason.SERVICE_SUSPENDED,
    "DELETE FROM tokens_accesstoken": Reason.TOKEN_REVOKED,
}


CALLERS_CHANGES = {
    "UPDATE resources_resourceserversecret SET expires_at = now()": (None, True),
    "DELETE FROM resources_resourceserversecret": (None, True),
    "UPDATE resources_resourceserver SET identifier = 'https://other.example'": (Reason.WRONG_AUDIENCE, False),
    "UPDATE developers_organization SET suspended_at = now()": (Reason.SERVICE_SUSPENDED, False),
    "UPDATE developers_organization SET deletes_at = now()": (Reason.SERVICE_SUSPENDED, False),
}


@contextmanager
def changing_before_facts(admin: psycopg.Connection[Any], change: str) -> Iterator[None]:
    """Change rows after their versions were read, and before the facts are."""

    async def change_first(self: Pipeline, trip: Trip) -> Any:
        if trip.steps and trip.steps[0].statement is Statement.TOKENS:
            admin.execute(change.encode())
        return await run(self, trip)

    run = Pipeline.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pipeline, "run", change_first)
        yield


class TestKnownFacts:
    def test_facts_are_read_once(self, loop: EventLoop, asked: list[Question], read: list[list[str]]) -> None:
        for _ in range(3):
            assert allowed(loop.run(loop.first.decide(asked))) == [True]
        assert read == [[asked[0].claims.token_id]]  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        ("change", "reason"),
        CHANGES.items(),
        ids=[change.split()[1 + change.startswith(("I", "D"))] for change in CHANGES],
    )
    def test_a_change_of_any_row_is_seen(
        self, loop: EventLoop, asked: list[Question], admin: psycopg.Connection[Any], change: str, reason: Reason
    ) -> None:
        loop.run(loop.first.decide(asked))
        admin.execute(change.encode())
        assert loop.run(loop.first.decide(asked))[0].reason is reason

    @pytest.mark.parametrize(("change", "outcome"), CALLERS_CHANGES.items())
    def test_so_is_a_change_of_the_callers_rows(
        self, loop: EventLoop, grant: Grant, admin: psycopg.Connection[Any], change: str, outcome: tuple[Any, bool]
    ) -> None:
        asked = questions(asking(grant.access_token, credential=caller_of(grant)))
        mean_for(AccessToken.objects.all(), ResourceServer.objects.get())
        assert allowed(loop.run(loop.first.decide(asked))) == [True]
        admin.execute(change.encode())
        after = loop.run(loop.first.decide(asked))[0]
        assert (after.reason, after.is_caller_refused) == outcome

    def test_a_change_after_the_versions_were_read_is_seen_next_time(
        self, loop: EventLoop, asked: list[Question], admin: psycopg.Connection[Any]
    ) -> None:
        """Facts are then newer than the versions under which they are remembered, never older."""
        with changing_before_facts(admin, "UPDATE agents_agent SET allowed_scopes = '[]'"):
            assert loop.run(loop.first.decide(asked))[0].reason is Reason.INSUFFICIENT_SCOPE
        admin.execute("""UPDATE agents_agent SET allowed_scopes = '["email:read"]'""")
        assert allowed(loop.run(loop.first.decide(asked))) == [True]

    def test_a_stop_that_ended_while_the_facts_were_read_is_not_remembered(
        self, loop: EventLoop, asked: list[Question], admin: psycopg.Connection[Any]
    ) -> None:
        """The next stop would look as if it were known, and known not to be one."""
        admin.execute(STOP)
        with changing_before_facts(admin, "DELETE FROM agents_emergencystop"):
            assert allowed(loop.run(loop.first.decide(asked))) == [True]
        admin.execute(STOP)
        assert loop.run(loop.first.decide(asked))[0].reason is Reason.SERVICE_SUSPENDED

    def test_a_new_connection_knows_nothing(
        self, loop: EventLoop, asked: list[Question], admin: psycopg.Connection[Any], read: list[list[str]]
    ) -> None:
        """The database may have been restored, and then a version may have come back."""
        loop.run(loop.first.decide(asked))
        kill_backends(admin)
        loop.run(asyncio.sleep(0.05))
        assert allowed(loop.run(loop.first.decide(asked))) == [True]
        assert len(read) == 2

    def test_long_facts_are_read_each_time(
        self, loop: EventLoop, asked: list[Question], admin: psycopg.Connection[Any], read: list[list[str]]
    ) -> None:
        admin.execute("UPDATE agents_agent SET allowed_scopes = allowed_scopes || to_jsonb(repeat('x', 5000))")
        for _ in range(2):
            assert allowed(loop.run(loop.first.decide(asked))) == [True]
        assert len(read) == 2


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the tokens whose facts are read, by trip."""

    async def note(self: Pipeline, trip: Trip) -> Any:
        found.extend(step.parameters[0] for step in trip.steps if step.statement is Statement.TOKENS)
        return await run(self, trip)

    found: list[list[str]] = []
    run = Pipeline.run
    monkeypatch.setattr(Pipeline, "run", note)
    return found


def test_a_batch_that_does_not_fit_into_the_sockets_buffer(
    loop: EventLoop, grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backend reads nothing until all that fits is sent."""
    waits = []

    def send(self: Pipeline, trip: Trip) -> None:
        os.kill(self._raw.backend_pid, signal.SIGSTOP)
        send_trip(self, trip)

    def note(self: Pipeline, *, is_sending: bool) -> Awaitable[None]:
        os.kill(self._raw.backend_pid, signal.SIGCONT)
        waits.append(is_sending)
        return wait(self, is_sending=is_sending)

    send_trip: Callable[..., None] = Pipeline._send_trip
    wait: Callable[..., Awaitable[None]] = Pipeline._wait
    monkeypatch.setattr(Pipeline, "_send_trip", send)
    monkeypatch.setattr(Pipeline, "_wait", note)
    # The journal compresses its rows, so the text must be random.
    asked = [asking(grant.access_token, context={"text": token_hex(2000)}) for _ in range(3000)]

    assert allowed(loop.decide(*asked)) == [True] * len(asked)

    assert True in waits, "the batch was sent at once"
    assert sum(len(row) for row in written_rows()) == len(asked)
