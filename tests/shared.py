"""Rows that the tests of a module share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction


@contextmanager
def rows_of_module(blocker: Any) -> Iterator[None]:
    """Keep the rows that the block writes in a transaction around those of the module's tests, and remove them.

    Use it in a fixture of a module whose tests do not commit. `blocker` is the fixture `django_db_blocker`.
    """
    around = transaction.atomic()
    around._from_testcase = True  # as Django's TestCase does, so that durable transactions may begin
    with blocker.unblock(), around:
        yield
        transaction.set_rollback(True)
