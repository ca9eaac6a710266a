"""A field for a day or a moment at which a period in a URL begins or ends."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext_lazy as _

from core.local import local_zone

# Moments near the limits of the calendar cannot be shown in every time zone.
YEARS = range(2000, 2100)


class PeriodInput(forms.DateInput):
    """An input for a day, or for a moment if the value is one. Any other value is shown as typed."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        typed, shown = str(value or ""), _local_text(value)
        kind = "datetime-local" if "T" in shown else "text" if typed and not shown else "date"
        context["widget"] |= {"type": kind, "value": shown or typed or None}
        if kind == "datetime-local":
            context["widget"]["attrs"]["step"] = 1
        return context


class MomentInput(PeriodInput):
    """A `PeriodInput` that asks for a time too while it is empty."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        if context["widget"]["value"] is None:
            context["widget"]["type"] = "datetime-local"
        return context


class PeriodField(forms.Field):
    """A day (`2026-11-27`) or a moment (`2026-11-27T14:00`) in the user's zone, or with an offset. The value is in UTC.

    A day stands for its beginning or, with `is_end`, for the beginning of the next one. The year is one of `YEARS`.
    """

    widget = PeriodInput
    default_error_messages = {
        "invalid": _("Must be a date between 2000 and 2099, such as 2026-11-27, or a time, such as 2026-11-27T14:00.")
    }

    def __init__(self, *, is_end: bool = False, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self.is_end = is_end

    def to_python(self, value: Any) -> datetime | None:
        text = str(value or "").strip()
        if not text:
            return None
        try:
            return self._read(text)
        except (ValueError, OverflowError) as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error

    @staticmethod
    def is_moment(text: str) -> bool:
        """Return whether a valid text is a moment, rather than a day."""
        return _day(text.strip()) is None

    def _read(self, text: str) -> datetime:
        if (day := _day(text)) is not None:
            require_year(day)
            return start_of_day(day, int(self.is_end))
        moment = parse_datetime(text)
        if moment is None:
            raise ValueError(text)
        require_year(moment)
        return (moment if moment.tzinfo else moment.replace(tzinfo=local_zone())).astimezone(UTC)


def start_of_day(day: date, later: int = 0) -> datetime:
    """Return when the day, or the one `days` later, begins in the user's zone. Raises `OverflowError`."""
    return datetime.combine(day + timedelta(days=later), time(), local_zone()).astimezone(UTC)


def require_year(day: date) -> None:
    if day.year not in YEARS:
        raise ValueError(day)


def _day(text: str) -> date | None:
    return parse_date(text) if len(text) <= len("2026-11-27") else None


def _local_text(value: Any) -> str:
    """Return what the input shows: the day, or the moment in the user's zone. Empty if it is neither."""
    text = str(value or "").strip()
    try:
        if _day(text):
            return text
        moment = parse_datetime(text)
        local = moment.astimezone(local_zone()) if moment and moment.tzinfo else moment
    except (ValueError, OverflowError):
        return ""
    if local is None:
        return ""
    return local.replace(tzinfo=None).isoformat(timespec="seconds")
