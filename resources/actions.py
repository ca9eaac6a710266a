"""The actions of the catalogue: what a request does, such as `email:search`, and which scopes cover it.

Their titles are in `actions.csv`. Which scope covers which is in `scopes.csv`, and for scopes that an organization
defines in `CustomScope`. Words that neither says anything about are the service's own.

To add an action, add it to a scope that covers it or excludes it, and a row with its title.
"""

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from core.text import plain_text
from resources.catalogue import CatalogueError, catalogue, local_title, reserved_prefixes
from resources.covers import Actions, OwnScope, covers_of

ACTIONS_FILE = Path(__file__).with_name("actions.csv")


@cache
def catalogue_actions() -> Actions:
    """Return the actions of the catalogue."""
    scopes = [OwnScope(it.id, it.risk_level, dict.fromkeys(it.covers, 0), it.excludes) for it in catalogue().values()]
    return Actions(reserved_prefixes(), covers=covers_of(scopes))


@cache
def action_titles() -> Mapping[str, str]:
    """Return what each action of the catalogue does, in words, by action. Scopes are actions, too.

    Raises `CatalogueError` if the file does not have each action that a scope names, once.
    """
    with ACTIONS_FILE.open(encoding="utf-8", newline="") as file:
        rows = [(row["id"], row["title"]) for row in csv.DictReader(file)]
    named = {action for it in catalogue().values() for action in (*it.covers, *it.excludes)}
    listed, needed = [action for action, _ in rows], named - catalogue().keys()
    if sorted(listed) != sorted(needed):
        wrong = ", ".join(sorted({*listed} ^ needed))
        raise CatalogueError(f"actions.csv must have each action that scopes.csv names, and no other, once: {wrong}")
    return MappingProxyType({it.id: it.title for it in catalogue().values()} | dict(rows))


def action_title(action: str) -> str:
    """Return what an action does, in the language of the page, or its id if it is not in the catalogue."""
    title = action_titles().get(action)
    return local_title(title) if title else plain_text(action)


def titles_for_users(own: Mapping[str, str] = MappingProxyType({})) -> Mapping[str, str]:
    """Return the titles of all scopes and actions in the language of the page, by id. `own` are of organizations."""
    return {**own, **{action: action_title(action) for action in action_titles()}}
