"""Run services concurrently, in threads with their own database connections."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet

from core.errors import DomainError


def race(acts: list[Callable[[], Any]]) -> list[Any]:
    """Run the acts concurrently. Return in order what each returned, or the `DomainError` that it raised.

    Any other exception in a thread, such as a deadlock, is raised here. So is `TimeoutError`, if a thread hangs.
    """
    start = threading.Barrier(len(acts))
    outcomes: list[Any] = [None] * len(acts)
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            connection.ensure_connection()  # so that connecting does not spread the starts
            start.wait(10)
            outcomes[number] = acts[number]()
        except DomainError as error:
            outcomes[number] = error
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if failures:
        raise failures[0]
    if any(thread.is_alive() for thread in threads):
        raise TimeoutError("A thread did not finish within a minute.")
    return outcomes


def rounds(number: int) -> pytest.MarkDecorator:
    """Run a race twice, and this `number` of times in soak, because threads meet in another order each time."""
    others = [pytest.param(each, marks=pytest.mark.soak) for each in range(2, number)]
    return pytest.mark.parametrize("number", [0, 1, *others])


def beside_lock(rows: QuerySet[Any], act: Callable[[], Any]) -> Any:
    """Return what the act returns while another transaction holds `rows`, a query that locks what it selects.

    SQLite has one writer, so there the act runs afterwards.
    """
    is_held, has_acted = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            list(rows)
            is_held.set()
            has_acted.wait(10 if connection.vendor == "postgresql" else 0.2)

    def act_beside() -> Any:
        assert is_held.wait(10)
        returned = act()
        has_acted.set()
        return returned

    return race([hold, act_beside])[1]
