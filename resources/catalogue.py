"""The scopes that an agent can request: the catalogue in `scopes.csv`, and scopes that organizations define.

To add a scope to the catalogue, add a row.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from django.utils.translation import gettext_noop, pgettext

from core.errors import FieldError
from core.text import echo, nearest, plain_text
from core.wording import Filled
from resources.contexts import CAN, TITLE
from resources.errors import InvalidScope
from resources.models import CustomScope
from resources.risks import CRITICAL, RISK_LEVELS

MAX_SCOPE_ID = 100
SCOPE_ID = re.compile(r"([a-z][a-z0-9-]{1,39}):([a-z][a-z0-9_.:-]{0,58})")
CATALOGUE_FILE = Path(__file__).with_name("scopes.csv")
COLUMNS = ("id", "category", "risk", "title", "can", "cannot", "labels", "reversible", "asks", "covers", "excludes")
MAY_BE_EMPTY = {"labels", "covers", "excludes"}
# Finding the nearest scope takes a millisecond per unknown id.
MAX_UNKNOWN = 20
YES_NO = {"yes": True, "no": False}
# Reads private data, brings in text that others wrote, can send data out.
OUTBOUND = "outbound"
LABELS = frozenset({"private", "untrusted", OUTBOUND})
# What they send out is money, or goes to someone whom the service names.
MONEY = frozenset({"payments", "shopping"})
ADDRESSED = MONEY | {"email", "messaging", "slack"}


class CatalogueError(ValueError):
    """`scopes.csv` is invalid. The server must not start without knowing what each scope allows."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A permission in plain words: `description` says what the agent can do with it, `cannot` what it cannot.

    `defined_by` is the name of the organization that wrote the texts, and set the risk level, the labels and whether
    the effect is reversible. It is empty for the catalogue. Only scopes of the catalogue have `asks`: the user approves
    every use, whatever the risk level. `covers` are the actions that the scope allows besides its own id, and
    `excludes` those that its `cannot` names (`resources.actions`). `edition` is the last of an organization's additions
    to `covers`.
    """

    id: str
    category: str
    risk_level: str
    title: str
    description: str
    cannot: str
    defined_by: str = ""
    labels: frozenset[str] = frozenset()
    is_reversible: bool = False
    asks: bool = False
    covers: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    edition: int = 0

    @property
    def words(self) -> tuple[object, ...]:
        """Return what a user agrees to. If any of it changes, it is another permission.

        The labels and the reversibility belong to it: they decide which guard and which mode the user is offered. So do
        the actions: they decide what verify allows.
        """
        texts = (self.title, self.description, self.cannot, self.risk_level)
        return (*texts, self.labels, self.is_reversible, frozenset(self.covers), frozenset(self.excludes))

    @property
    def local_title(self) -> str:
        """The title in the language of the page. What organizations write stays as it is."""
        return local_title(self.title, self.defined_by)

    @property
    def can(self) -> str:
        """What the agent can do, as a sentence in the language of the page."""
        sentence = f"{self.description}."
        return sentence if self.defined_by else pgettext(CAN, sentence)

    @property
    def moves_money(self) -> bool:
        """Return whether requests can state an amount. It is not known of the scopes that organizations define."""
        return OUTBOUND in self.labels and (self.category in MONEY or self._is_own_and_final)

    @property
    def has_recipient(self) -> bool:
        """Return whether requests can name to whom something goes."""
        return OUTBOUND in self.labels and (self.category in ADDRESSED or bool(self.defined_by))

    @property
    def _is_own_and_final(self) -> bool:
        return bool(self.defined_by) and not self.is_reversible

    @property
    def always_asks(self) -> bool:
        """Return whether the user approves every use. No decision of the user can change it to "allow"."""
        return self.asks or self.risk_level == CRITICAL


@cache
def catalogue() -> Mapping[str, Scope]:
    """Return the catalogue by scope id, in the order of the file."""
    with CATALOGUE_FILE.open(encoding="utf-8", newline="") as file:
        return read_catalogue(file)


def read_catalogue(file: Iterable[str]) -> Mapping[str, Scope]:
    """Return the scopes in a CSV file by id. Raises `CatalogueError` for an invalid row or header."""
    rows = csv.DictReader(file)
    if tuple(rows.fieldnames or ()) != COLUMNS:
        raise CatalogueError(f"the columns must be {', '.join(COLUMNS)}")
    scopes: dict[str, Scope] = {}
    for row in rows:
        problem = _problem_with_row(row, scopes)
        if problem:
            raise CatalogueError(f"line {rows.line_num}: {problem}")
        scopes[row["id"]] = _from_csv(row)
    return MappingProxyType(scopes)


def local_title(title: str, defined_by: str = "") -> str:
    """Return a title of the catalogue in the language of the page, and one that an organization wrote as it is."""
    return title if defined_by else pgettext(TITLE, title)


@cache
def reserved_prefixes() -> frozenset[str]:
    """Return the prefixes of the catalogue's scopes, which no organization may use."""
    return frozenset(scope_id.split(":", 1)[0] for scope_id in catalogue())


def scopes_in_category(category: str) -> list[Scope]:
    """Return the scopes of the category. Empty if it is unknown."""
    return [scope for scope in catalogue().values() if scope.category == category]


def describe_scopes(ids: Iterable[str], own: Iterable[CustomScope] | None = None) -> list[Scope]:
    """Return the scopes with these ids, in order. Unknown ids are left out.

    `own` are all rows of the organization whose scopes they are, with it, if they have been read.
    """
    wanted = list(dict.fromkeys(ids))
    known = catalogue()
    others = [scope_id for scope_id in wanted if scope_id not in known]
    read = CustomScope.objects.select_related("organization").filter(id__in=others) if others and own is None else ()
    custom = {row.id: _from_row(row) for row in (read if own is None else own) if row.id in others}
    found = [known.get(scope_id) or custom.get(scope_id) for scope_id in wanted]
    return [scope for scope in found if scope is not None]


def gone_scopes(ids: Iterable[str]) -> list[str]:
    """Return those of the ids that no scope has any more, in order: they have left the catalogue."""
    wanted = list(dict.fromkeys(ids))
    found = {scope.id for scope in describe_scopes(wanted)}
    return [scope_id for scope_id in wanted if scope_id not in found]


def snapshot(scopes: Iterable[Scope]) -> list[dict[str, Any]]:
    """Return the texts of the scopes as stored with a consent and in the log, with the field names of the API."""
    return [
        {
            "id": scope.id,
            "category": scope.category,
            "riskLevel": scope.risk_level,
            "title": scope.title,
            "description": scope.description,
            "cannot": scope.cannot,
            "definedBy": scope.defined_by,
            "labels": sorted(scope.labels),
            "reversible": scope.is_reversible,
            "asks": scope.asks,
            "covers": list(scope.covers),
            "excludes": list(scope.excludes),
            "edition": scope.edition,
        }
        for scope in scopes
    ]


def read_snapshot(stored: Iterable[Mapping[str, Any]]) -> list[Scope]:
    """Return the scopes of a stored snapshot, with the texts that were shown to the user."""
    return [
        Scope(
            scope["id"],
            scope["category"],
            scope["riskLevel"],
            scope["title"],
            _without_stop(scope["description"]),
            _without_stop(scope["cannot"]),
            defined_by=scope["definedBy"],
            labels=frozenset(scope["labels"]),
            is_reversible=scope["reversible"],
            asks=scope["asks"],
            covers=tuple(scope.get("covers", ())),
            excludes=tuple(scope.get("excludes", ())),
            edition=scope.get("edition", 0),
        )
        for scope in stored
    ]


def require_known(ids: Sequence[str], *, field: str) -> None:
    """Raise `InvalidScope` for unknown ids: the first `MAX_UNKNOWN`, each with the nearest scope of the catalogue."""
    known = {scope.id for scope in describe_scopes(ids)}
    unknown = ((index, scope_id) for index, scope_id in enumerate(ids) if scope_id not in known)
    errors = tuple(
        FieldError(f"{field}.{index}", _suggest(scope_id)) for index, scope_id in islice(unknown, MAX_UNKNOWN)
    )
    if errors:
        raise InvalidScope(errors[0].message, errors=errors)


def _suggest(scope_id: str) -> str:
    """Return an error message with a suggestion. It never reveals the scopes that organizations define."""
    choice = nearest(scope_id.lower(), catalogue())
    text = gettext_noop("The scope '%(scope)s' does not exist. GET /api/v1/scopes lists the catalogue.")
    if choice:
        text = gettext_noop("The scope '%(scope)s' does not exist. Did you mean '%(choice)s'?")
    return Filled(text, scope=echo(scope_id), choice=choice)


def _problem_with_row(row: Mapping[Any, Any], earlier: Mapping[str, Scope]) -> str | None:
    """Return why a row of the file is not a valid scope. None if it is."""
    if None in row or None in row.values():
        return f"must have {len(COLUMNS)} columns"
    if any(row[name] != plain_text(row[name]) or not (row[name] or name in MAY_BE_EMPTY) for name in COLUMNS):
        return "every column except labels, covers and excludes must have a text of one line without surrounding spaces"
    if row["id"] in earlier or not SCOPE_ID.fullmatch(row["id"]):
        return "id must be unique, and prefix:name in lower case, such as tickets:read"
    if row["risk"] not in RISK_LEVELS or not set(row["labels"].split()) <= LABELS:
        return f"risk must be one of {', '.join(RISK_LEVELS)}, and labels any of {', '.join(sorted(LABELS))}"
    categories = [scope.category for scope in earlier.values()]
    if row["category"] in categories and row["category"] != categories[-1]:
        return "the rows of a category must be together"
    if row["reversible"] not in YES_NO or row["asks"] not in YES_NO:
        return "reversible and asks must be yes or no"
    return problem_with_actions(row["id"], row["covers"].split(), row["excludes"].split())


def problem_with_actions(scope_id: str, covers: Sequence[str], excludes: Sequence[str]) -> str | None:
    """Return why a scope cannot have these actions, or None if it can."""
    prefix, listed = scope_id.partition(":")[0], [*covers, *excludes]
    if any(not SCOPE_ID.fullmatch(action) or action.partition(":")[0] != prefix for action in listed):
        return Filled(
            gettext_noop("Actions that it covers or excludes must begin with its prefix, such as %(p)s:list."), p=prefix
        )
    if scope_id in listed or len({*listed}) < len(listed):
        return gettext_noop("Name each action once in covers and excludes, and not the scope itself.")
    return None


def _from_csv(row: Mapping[str, str]) -> Scope:
    return Scope(
        row["id"],
        row["category"],
        row["risk"],
        row["title"],
        row["can"],
        row["cannot"],
        labels=frozenset(row["labels"].split()),
        is_reversible=YES_NO[row["reversible"]],
        asks=YES_NO[row["asks"]],
        covers=tuple(row["covers"].split()),
        excludes=tuple(row["excludes"].split()),
    )


def _without_stop(text: str) -> str:
    """Return the text of an organization without the full stop that pages add."""
    return text.rstrip(". ")


def _from_row(row: CustomScope) -> Scope:
    category = row.id.split(":", 1)[0]
    return Scope(
        row.id,
        category,
        row.risk_level,
        row.title,
        _without_stop(row.description),
        _without_stop(row.cannot),
        defined_by=row.organization.name,
        labels=frozenset(row.labels),
        is_reversible=row.is_reversible,
        covers=tuple(row.covers),
        excludes=tuple(row.excludes),
        edition=row.edition,
    )
