"""Parameters and rows in SQLite's types: lists as JSON, times as Django stores them, truth values as numbers."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

import orjson

from decisions.stores.statements import Kind, Statement, Step


def encode(step: Step) -> list[Any]:
    """Return the parameters of a step."""
    pairs = zip(step.statement.takes, step.parameters, strict=True)
    return [_ENCODERS.get(kind, _same)(value) for kind, value in pairs]


def encode_rows(step: Step) -> list[Sequence[Any]]:
    """Return the parameters of a step that runs once per row. Its parameters are the columns."""
    columns = [
        map(_text_of, values) if kind is Kind.TIMES else values
        for kind, values in zip(step.statement.takes, step.parameters, strict=True)
    ]
    return list(zip(*columns, strict=True))


def rows_of(statement: Statement, rows: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """Return the rows of a statement as its class."""
    if statement.gives is None or not rows:
        return ()
    make, decoders = statement.gives._make, _decoders_of(statement)
    found = []
    for row in rows:
        values = list(row)
        for index, decode in decoders:
            if values[index] is not None:
                values[index] = decode(values[index])
        found.append(make(values))
    return found


@cache
def _decoders_of(statement: Statement) -> Sequence[tuple[int, Callable[[Any], Any]]]:
    """Return the columns that must be converted, with their decoders."""
    return [(index, _DECODERS[kind]) for index, kind in enumerate(statement.columns) if kind in _DECODERS]


def _same(value: Any) -> Any:
    return value


def _text_of(moment: datetime) -> str:
    return str(moment.astimezone(UTC).replace(tzinfo=None))


@lru_cache(16_384)
def _time_of(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


_ENCODERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.TEXTS: lambda texts: orjson.dumps(texts).decode(),
    Kind.TIME: _text_of,
}
_DECODERS: dict[Kind, Callable[[Any], Any]] = {Kind.BOOL: bool, Kind.TIME: _time_of, Kind.BYTES: bytes}
