"""Numbers as the analytics show them: with a link, and compared with the previous period."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from babel import numbers
from django.utils.translation import gettext as _

from core.local import local_locale
from web.portal.analytics.value_labels import ValueLabel

# A larger change says only that there was almost nothing before.
MOST_CHANGE = 10


@dataclass(frozen=True, slots=True)
class Count:
    """A number, the number of the previous period, and the URL of the log entries behind it."""

    number: int
    before: int
    url: str

    @property
    def change(self) -> str:
        """The change since the previous period, such as "+12%". Empty if a percentage would be meaningless."""
        if not self.before or not self.number or self.number > MOST_CHANGE * self.before:
            return _("new") if self.number and not self.before else ""
        share = self.number / self.before - 1
        return str(numbers.format_percent(share, "+#,##0%;-#,##0%", locale=local_locale())) if round(share, 2) else "±0"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table. `swatch` is the number of the series in the chart, 0 if it is not drawn."""

    words: ValueLabel
    count: Count
    swatch: int = 0
    share: str = ""
    denied: Count | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the table of steps: the step's name, and per series a number with its URL."""

    name: str
    cells: Sequence[tuple[int, str]]


def percent(number: int, of: int) -> str:
    """Return the share in whole percent, or in tenths of a percent if it is small. Empty if the total is zero."""
    if not of:
        return ""
    style = "#,##0.0%" if 0 < number / of < 0.01 else "#,##0%"
    return str(numbers.format_percent(number / of, style, locale=local_locale()))


def highest(counts: Mapping[str, int], limit: int) -> list[str]:
    """Return the values that occurred most often. Ties are in alphabetical order."""
    return sorted(counts, key=lambda value: (-counts[value], value))[:limit]
