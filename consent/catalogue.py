"""The scopes that an agent can ask for: the catalogue, `scopes.csv`, and the scopes that organizations define.

To add a scope to the catalogue, add a row.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from core.errors import DomainError, FieldError
from developers.models import CustomScope

CATALOGUE_FILE = Path(__file__).with_name("scopes.csv")
RISK_LEVELS = ("low", "standard", "high", "critical")


class InvalidScope(DomainError):
    """RFC 6749 section 5.2: unknown, or beyond what was allowed."""

    code = "invalid_scope"
    title = "A scope is unknown or not allowed"


@dataclass(frozen=True, slots=True)
class Scope:
    """One permission in plain words. `description` says what it can do, `cannot` what it cannot."""

    id: str
    category: str
    risk_level: str
    title: str
    description: str
    cannot: str

    @property
    def risk_rank(self) -> int:
        """Return 1 (low) to 4 (critical)."""
        return RISK_LEVELS.index(self.risk_level) + 1


@cache
def catalogue() -> Mapping[str, Scope]:
    """Return the catalogue by scope id, in the order of the file."""
    with CATALOGUE_FILE.open(encoding="utf-8", newline="") as file:
        scopes = [
            Scope(row["id"], row["category"], row["risk"], row["title"], row["can"], row["cannot"])
            for row in csv.DictReader(file)
        ]
    return MappingProxyType({scope.id: scope for scope in scopes})


def scopes_in_category(category: str) -> list[Scope]:
    """Return the category's scopes; empty when it is unknown."""
    return [scope for scope in catalogue().values() if scope.category == category]


def describe_scopes(ids: Iterable[str]) -> list[Scope]:
    """Return the words for these scopes, in order; unknown ids are left out."""
    wanted = list(dict.fromkeys(ids))
    known = catalogue()
    others = [scope_id for scope_id in wanted if scope_id not in known]
    custom = {row.id: _from_row(row) for row in CustomScope.objects.filter(id__in=others)} if others else {}
    found = [known.get(scope_id) or custom.get(scope_id) for scope_id in wanted]
    return [scope for scope in found if scope is not None]


def require_known(ids: Sequence[str], *, field: str) -> None:
    """Raise `InvalidScope`, naming each id that nobody has defined."""
    known = {scope.id for scope in describe_scopes(ids)}
    errors = tuple(
        FieldError(f"{field}.{index}", f"{scope_id} is no scope; GET /api/v1/scopes lists them")
        for index, scope_id in enumerate(ids)
        if scope_id not in known
    )
    if errors:
        raise InvalidScope("A scope is unknown.", errors=errors)


def _from_row(row: CustomScope) -> Scope:
    category = row.id.split(":", 1)[0]
    return Scope(row.id, category, row.risk_level, row.title, row.description, row.cannot)
