"""Connections to a PostgreSQL that does not answer."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.db.utils import ConnectionHandler

from core import timeouts
from core.postgresql.driver import Silent
from core.timeouts import Kind

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql(only=True)]

SECONDS = 0.3
SLEEPING_COMMIT = """
    CREATE TEMPORARY TABLE slow (number integer);
    CREATE FUNCTION pg_temp.sleep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION pg_temp.sleep();
"""


@pytest.fixture
def database() -> Iterator[Any]:
    """A connection of its own."""
    handler = ConnectionHandler({"default": connection.settings_dict})
    yield handler["default"]
    handler["default"].close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a request has, with a bound that tests can wait for."""
    monkeypatch.setattr(timeouts, "SILENCE_SECONDS", SECONDS)
    with timeouts.answering(time.monotonic()):
        yield


def sleep(database: Any, seconds: float = 2.0) -> None:
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [seconds])


def test_a_silent_server_is_left_and_the_request_asks_nothing_else(database: Any, impatient: None) -> None:
    began = time.monotonic()
    with pytest.raises(OperationalError) as raised:
        sleep(database)
    assert isinstance(raised.value.__cause__, Silent)
    assert SECONDS <= time.monotonic() - began < SECONDS + 1
    assert database.connection.closed

    database.close()
    with pytest.raises(OperationalError, match="did not answer this request"):
        sleep(database, 0)
    assert not timeouts.may_have_committed()


def test_the_next_request_connects_again(database: Any, impatient: None) -> None:
    with pytest.raises(OperationalError):
        sleep(database)
    database.close()
    with timeouts.answering(time.monotonic()):
        sleep(database, 0)


def test_a_commit_without_an_answer_may_have_happened(database: Any, impatient: None) -> None:
    with database.cursor() as cursor:
        cursor.execute(SLEEPING_COMMIT)
    database.set_autocommit(False)
    with database.cursor() as cursor:
        cursor.execute("INSERT INTO slow VALUES (1)")
    assert not timeouts.may_have_committed()
    with pytest.raises(OperationalError):
        database.commit()
    assert timeouts.may_have_committed()


def test_a_refused_commit_has_not_happened(database: Any, impatient: None) -> None:
    with database.cursor() as cursor:
        cursor.execute(SLEEPING_COMMIT.replace("pg_sleep(1)", "1 / 0"))
    database.set_autocommit(False)
    with database.cursor() as cursor:
        cursor.execute("INSERT INTO slow VALUES (1)")
    with pytest.raises(Exception, match="division by zero"):
        database.commit()
    assert not timeouts.may_have_committed()


def test_a_lost_commit_is_remembered_when_no_other_connection_can_be_opened(impatient: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(SLEEPING_COMMIT)
    with pytest.raises(OperationalError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO slow VALUES (1)")
    assert timeouts.may_have_committed()


def test_a_server_cancels_what_takes_too_long_and_its_connection_remains(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "_kind", Kind(statement=SECONDS, silence=5.0))
    with pytest.raises(OperationalError, match="statement timeout"):
        sleep(database)
    sleep(database, 0)


def test_a_request_that_waited_long_for_a_thread_gives_the_database_less(database: Any) -> None:
    began = time.monotonic()
    with timeouts.answering(began - timeouts.THREAD_SECONDS), pytest.raises(OperationalError):
        sleep(database)
    assert time.monotonic() - began < timeouts.ANSWER_SECONDS - timeouts.THREAD_SECONDS + 0.5


def test_another_thread_is_not_in_the_request(impatient: None) -> None:
    timeouts.report_silence()
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(timeouts.may_connect()))
    thread.start()
    thread.join()
    assert seen == [True]
