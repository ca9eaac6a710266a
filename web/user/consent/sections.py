"""The scopes of the consent screen: in its first line, and in sections, grouped by service."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.text import plain_text
from resources.categories import category_name
from resources.risks import CRITICAL, RISK_LEVELS
from web.display.labels import highest_risk
from web.user.consent.form import MAX_OPEN, Choice, by_risk

# More scopes than these are unusual, and the screen says so.
MAX_USUAL = 15
# The first line names at most these.
MAX_NAMED = 5
KNOWN = "known"


@dataclass(frozen=True, slots=True)
class Group:
    """The scopes of one service. `is_open` says whether the page initially shows the scopes of a collapsible group.

    `is_ours` says whether the name is from the catalogue. Other names are those that organizations chose.
    """

    service: str
    is_ours: bool
    choices: Sequence[Choice]
    is_collapsible: bool
    is_open: bool

    @property
    def risk(self) -> str:
        return highest_risk(choice.scope.risk_level for choice in self.choices) or RISK_LEVELS[-1]

    @property
    def ticked(self) -> int:
        """Return the number of scopes that are ticked when the page opens."""
        return sum(choice.ticked for choice in self.choices)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the list. `name` is "required", "optional" or "known"."""

    name: str
    groups: Sequence[Group]


@dataclass(frozen=True, slots=True)
class Named:
    """Some of the scopes, and the number of the others."""

    choices: Sequence[Choice]
    more: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What the agent asks for and what it may do already.

    `followed` are the scopes that are repeated beside the buttons when they are ticked. Empty for a long list.
    `is_unusual`: unusually many scopes are new.
    """

    new: Named
    known: Named
    followed: Sequence[Choice]
    is_unusual: bool


def sections(required: Sequence[Choice], optional: Sequence[Choice], known: Sequence[Choice]) -> list[Section]:
    """Return the sections that have scopes."""
    parts = (("required", required), ("optional", optional), (KNOWN, known))
    number = sum(len(choices) for _, choices in parts)
    return [Section(name, list(_groups(name, choices, number))) for name, choices in parts if choices]


def summarize(new: Sequence[Choice], known: Sequence[Choice]) -> Summary:
    """Return the first line of the screen. `known` are live scopes, also those that are not requested again."""
    shown = [*new, *known]
    followed = sorted(shown, key=_by_risk) if len(shown) <= MAX_OPEN else ()
    return Summary(_named(new), _named(known), followed, is_unusual=len(new) > MAX_USUAL)


def _named(choices: Sequence[Choice]) -> Named:
    """Return the scopes to name, by risk: all that are critical, and the gravest of the others."""
    gravest = sorted(choices, key=_by_risk)
    kept = [one for place, one in enumerate(gravest) if one.scope.risk_level == CRITICAL or place < MAX_NAMED]
    return Named(kept, len(choices) - len(kept))


def _by_risk(choice: Choice) -> tuple[bool, bool, int]:
    """Sort what is refused last, because narrow windows cut off the end."""
    return choice.is_refused, *by_risk(choice.scope)


def _groups(section: str, choices: Iterable[Choice], number: int) -> Iterator[Group]:
    """Yield the groups of a section on a screen with this number of scopes. A short list only sets organizations apart.

    The first scope is not hidden. Critical scopes are not either, except in a long list, where the screen names them
    above it, nor are those that the user ticked or whose limits they want to set. In a long list, nothing new is ticked
    in advance.
    """
    members: dict[tuple[str, str], list[Choice]] = {}
    for choice in choices:
        category = _category_of(choice) if number > MAX_OPEN else ""
        members.setdefault((choice.scope.defined_by, category), []).append(choice)
    for (organization, category), found in members.items():
        is_critical = any(choice.scope.risk_level == CRITICAL for choice in found)
        is_chosen = section != KNOWN and any(choice.ticked for choice in found)
        is_first = any(choice.is_first for choice in found)
        is_open = is_first or is_chosen or (is_critical and number <= MAX_USUAL)
        name = plain_text(organization) or category_name(category)
        yield Group(name, not organization, found, number > MAX_OPEN, is_open or any(one.is_opened for one in found))


def _category_of(choice: Choice) -> str:
    """Return the key of the scope's service. All scopes of an organization count as one service."""
    return "" if choice.scope.defined_by else choice.scope.category
