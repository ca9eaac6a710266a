"""Convert JSON responses to frozen dataclasses. Ignore unknown fields and check the types of known ones."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime, timezone
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from ._call import camel
from .errors import UnexpectedResponseError

T = TypeVar("T")
Converter = Callable[[Any], Any]


def reader(model: type[T], naming: Callable[[str], str] = camel) -> Callable[[Any], T]:
    """Return a function that reads a `model` from parsed JSON. `naming` converts field names to JSON names.

    It raises `UnexpectedResponseError` with the field's name but not its value, which may be a secret.
    """
    return _converter(cast(Any, model), naming)


@cache
def _converter(kind: Any, naming: Callable[[str], str]) -> Converter:
    if kind is Any:
        return lambda value: value
    if kind is datetime:
        return parse_time
    if is_dataclass(kind):
        return _dataclass_converter(kind, naming)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        present = next(arm for arm in get_args(kind) if arm is not type(None))
        return _optional(_converter(present, naming))
    if origin is tuple:
        return _tuple_of(_converter(get_args(kind)[0], naming))
    if origin is not None and issubclass(origin, Mapping):
        return _exactly(dict)
    return _exactly(kind)


def _dataclass_converter(model: Any, naming: Callable[[str], str]) -> Converter:
    hints = get_type_hints(model)
    plan = [
        (f.name, naming(f.name), _converter(hints[f.name], naming), _is_required(f)) for f in fields(model)
    ]

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            raise UnexpectedResponseError(f"expected an object for {model.__name__}")
        found: dict[str, Any] = {}
        for name, key, read, required in plan:
            if key in value:
                found[name] = _read_field(f"{model.__name__}.{key}", read, value[key])
            elif required:
                raise UnexpectedResponseError(f"{model.__name__}.{key} is missing")
        return model(**found)

    return convert


def _read_field(label: str, read: Converter, value: Any) -> Any:
    try:
        return read(value)
    except (TypeError, ValueError):
        problem = f"{label} has an unexpected type"
    raise UnexpectedResponseError(problem)


def _is_required(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _optional(read: Converter) -> Converter:
    return lambda value: None if value is None else read(value)


def _tuple_of(read: Converter) -> Converter:
    def convert(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise TypeError
        return tuple(read(item) for item in value)

    return convert


def _exactly(kind: Any) -> Converter:
    def convert(value: Any) -> Any:
        # A bool is an int in Python, but 1 must not be accepted for true, nor true for a number.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise TypeError
        return value

    return convert


def parse_time(text: Any) -> datetime:
    """Return a time in UTC from RFC 3339. Raises ValueError or TypeError for anything else."""
    if not isinstance(text, str):
        raise TypeError
    # Python 3.10 parses neither "Z" nor fractions that do not have 3 or 6 digits.
    padded = re.sub(r"\.(\d+)", lambda match: "." + match[1][:6].ljust(6, "0"), text)
    moment = datetime.fromisoformat(padded.replace("Z", "+00:00").replace("z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError as error:
        raise ValueError from error
