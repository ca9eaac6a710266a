"""How many rows of the roll-ups an organization can have of one day.

Beyond the bound, only rows that exist count on. All others share one row for each kind, `REST`, of all agents. Which
ones share it follows from the order of the log, so counting again gives the same.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from insights.counting import ALL_AGENTS, FIXED, Key, without_name
from insights.models import Kind, RollUp, Unit
from insights.windows import floor_day

# About 20 MB on PostgreSQL, with their index.
MAX_ROWS_PER_DAY = 50_000

type Day = tuple[str, datetime]


def bounded(edition: int, counts: Mapping[Key, int]) -> Counter[Key]:
    """Return the counts as the edition has room for them, and how many rows they add to each day."""
    existing, left = _existing(edition, list(counts)), _rows_left(edition, {_day_of(key) for key in counts})
    kept: Counter[Key] = Counter()
    for key, number in counts.items():
        day = _day_of(key)
        if key in existing or _is_fixed(key):
            kept[key] += number
        elif left[day] > 0:
            left[day] -= 1
            kept[key] += number
            kept[_rows_of(day)] += 1
        elif key.agent_id == ALL_AGENTS:
            kept[key._replace(value=without_name(key))] += number
    return kept


def _is_fixed(key: Key) -> bool:
    """Return whether the values of its kind are few, whatever is logged, and it is not of one agent."""
    return key.agent_id == ALL_AGENTS and key.kind in FIXED


def _day_of(key: Key) -> Day:
    return key.organization_id, floor_day(key.start)


def _rows_of(day: Day) -> Key:
    organization_id, start = day
    return Key(organization_id, ALL_AGENTS, Kind.ROWS.value, Unit.DAY.value, start, "")


def _rows_left(edition: int, days: Collection[Day]) -> dict[Day, int]:
    """Return how many more rows each day may have."""
    rows = RollUp.objects.filter(edition=edition, agent_id=ALL_AGENTS, kind=Kind.ROWS, unit=Unit.DAY)
    rows = rows.filter(organization_id__in={one for one, _ in days}, start__in={start for _, start in days})
    numbers = {(one, start): number for one, start, number in rows.values_list("organization_id", "start", "number")}
    return {day: MAX_ROWS_PER_DAY - numbers.get(day, 0) for day in days}


def _existing(edition: int, keys: list[Key]) -> set[Key]:
    """Return those of the keys that have a row, by one query."""
    if not keys:
        return set()
    adapt, names = connection.ops.adapt_datetimefield_value, ", ".join(Key._fields)
    rows: list[list[Any]] = [
        [place, *(adapt(one) if isinstance(one, datetime) else one for one in key)] for place, key in enumerate(keys)
    ]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            kinds = ["int", *["timestamptz" if name == "start" else "text" for name in Key._fields]]
            wanted = f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in kinds)})"  # noqa: S608
            values: list[Any] = [list(column) for column in zip(*rows, strict=True)]
        else:
            wanted = f"VALUES {', '.join([f'({", ".join(["%s"] * len(rows[0]))})'] * len(rows))}"
            values = [value for row in rows for value in row]
        statement = f"""
            WITH wanted (place, {names}) AS ({wanted})
            SELECT place FROM wanted JOIN insights_rollup USING ({names}) WHERE edition = %s
        """  # noqa: S608
        cursor.execute(statement, [*values, edition])
        return {keys[place] for (place,) in cursor.fetchall()}
