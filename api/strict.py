"""Serializers and fields that take what the contract names, in the type it names, and nothing else."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.validators import ProhibitNullCharactersValidator
from django.utils.dateparse import parse_datetime
from rest_framework import serializers

from core import clock
from core.text import echo, plain_text

# Control characters, line separators, and marks that make a name read as another (Unicode TR 36 section 3.4).
UNSHOWABLE = r"\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"

# A body can hold a hundred thousand; naming them all would be work for us and no help to anybody.
MAX_UNKNOWN = 20


class StrictSerializer(serializers.Serializer):
    """Refuses a field that it does not know, by its name."""

    default_error_messages = {"invalid": "Must be an object."}

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, Mapping) else []
        if unknown:
            raise serializers.ValidationError({echo(name): ["Unknown field."] for name in unknown[:MAX_UNKNOWN]})
        return super().to_internal_value(data)


class Text(serializers.CharField):
    """A JSON string, kept as it is: never a number, never trimmed."""

    default_error_messages = {"invalid": "Must be a string."}
    pattern = r"^[^\u0000]*$"

    def __init__(self, *, max_length: int, **options: Any) -> None:
        super().__init__(max_length=max_length, trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class Line(Text):
    """A text to show on one line.

    Control and bidi characters are refused, and so is a text that shows nothing. The other invisible characters occur
    in ordinary emoji, so they are stripped.
    """

    default_error_messages = {
        "plain": "Must be one line without control or bidirectional formatting characters.",
        "blank": "Must have a visible character.",
    }

    @property
    def pattern(self) -> str:
        return rf"^[^{UNSHOWABLE}]*$" if self.allow_blank else rf"^[^{UNSHOWABLE}]*[^ {UNSHOWABLE}][^{UNSHOWABLE}]*$"

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not re.fullmatch(self.pattern[1:-1], text):
            self.fail("plain")
        shown = plain_text(text)
        if not shown and not self.allow_blank:
            self.fail("blank")
        return shown


class Opaque(serializers.CharField):
    """A token or code from anywhere: whatever it holds, it is only looked up, never stored."""

    default_error_messages = {"invalid": "Must be a string."}

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)
        self.validators = [each for each in self.validators if not isinstance(each, ProhibitNullCharactersValidator)]

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class Whole(serializers.IntegerField):
    """A JSON number without a fraction, `60` or `60.0`: never a text, never true."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, float) and data.is_integer():
            return int(data)
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return data


class Flag(serializers.BooleanField):
    """true or false, and nothing that merely looks like it."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=echo(data))
        return data


class TextList(serializers.ListField):
    """A JSON list of texts."""

    def __init__(
        self, *, max_items: int, item_length: int = 200, min_items: int = 0, child: Text | None = None, **options: Any
    ) -> None:
        super().__init__(
            child=child or Text(max_length=item_length), min_length=min_items, max_length=max_items, **options
        )

    def to_internal_value(self, data: Any) -> list[str]:
        if not isinstance(data, list):
            self.fail("not_a_list", input_type=type(data).__name__)
        return super().to_internal_value(data)


class Moment(serializers.DateTimeField):
    """RFC 3339; it goes out in UTC with `Z`, and comes in with its offset."""

    default_error_messages = {"rfc3339": "Must be an RFC 3339 time, such as 2026-01-31T12:00:00Z."}

    def to_representation(self, value: Any) -> str | None:
        return clock.rfc3339(value) if isinstance(value, datetime) else value

    def to_internal_value(self, value: Any) -> datetime:
        try:
            # In a query an unescaped "+" arrives as a space.
            moment = parse_datetime(value.replace(" ", "+")) if isinstance(value, str) and "T" in value else None
            if moment is not None and moment.tzinfo is not None:
                clock.rfc3339(moment)
                return moment
        except (ValueError, OverflowError):
            pass
        return self.fail("rfc3339")
