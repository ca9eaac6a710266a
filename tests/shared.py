"""What several tests share: the rows of a module, and the fixtures of a table of cases."""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest
from _pytest.mark import ParameterSet
from django.core.cache import cache
from django.db import connection, transaction
from django.template import Context, Template
from django.test.signals import template_rendered

from audit.sequencing import sequencer
from audit.signing import log_keys
from limits import quick_throttle
from tokens import keys


@contextmanager
def rows_of_module(blocker: Any) -> Iterator[None]:
    """Keep the rows that the block writes in a transaction around those of the module's tests, and remove them.

    Use it in a fixture of a module whose tests do not commit. `blocker` is the fixture `django_db_blocker`.
    """
    with blocker.unblock(), rolled_back():
        yield


def copied(name: str) -> Any:
    """Return a fixture with a copy of the module's fixture of this name, whose object the test may change."""

    def copy_of(**fixtures: object) -> object:
        return deepcopy(fixtures[name])

    needed = [inspect.Parameter(each, inspect.Parameter.KEYWORD_ONLY) for each in (name, "db")]
    copy_of.__signature__ = inspect.Signature(needed)  # type: ignore[attr-defined]
    return pytest.fixture(copy_of)


def cases(names: str | tuple[str, ...], values: Iterable[Any], ids: object = None) -> Callable[..., Any]:
    """Run all cases of a table in one test, with the same fixtures.

    It takes what `pytest.mark.parametrize` takes, and is many times faster. Rows that a case writes are removed after
    it; what it changes in a fixture's object or in a setting is not.
    """
    arguments = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    table = [dict(zip(arguments, _row(value, len(arguments)), strict=True)) for value in values]

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(*instance: object, **fixtures: object) -> None:
            for case in table:
                try:
                    with rolled_back() if connection.in_atomic_block else _forgotten():
                        test(*instance, **fixtures, **case)
                except Exception as error:
                    error.add_note(f"The case: {case}")
                    raise

        signature = inspect.signature(test)
        kept = [parameter for name, parameter in signature.parameters.items() if name not in arguments]
        run.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        return run

    return decorate


@contextmanager
def unrendered() -> Iterator[None]:
    """Leave pages empty, which takes half of the time, where a test looks at their status only."""

    def render(template: Template, context: Context) -> str:
        template_rendered.send(sender=template, template=template, context=context)
        return ""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Template, "_render", render)
        yield


def forget_rows() -> None:
    """Forget the rows that this process remembers."""
    cache.clear()
    quick_throttle._memories.clear()
    quick_throttle._redis_paused_until = 0.0
    keys.forget()
    log_keys.forget()
    sequencer.forget()


def _row(value: Any, length: int) -> Iterable[Any]:
    if isinstance(value, ParameterSet):  # a `pytest.param`
        return value.values
    return (value,) if length == 1 else value


@contextmanager
def rolled_back() -> Iterator[None]:
    """Remove what the block writes, and forget the rows that this process remembers."""
    around = transaction.atomic()
    around._from_testcase = True  # as Django's TestCase does, so that durable transactions may begin
    with _forgotten(), around:
        depth = len(connection.savepoint_ids)
        yield
        assert len(connection.savepoint_ids) == depth, "a transaction is open: read or close each streamed response"
        transaction.set_rollback(True)


@contextmanager
def _forgotten() -> Iterator[None]:
    yield
    forget_rows()
