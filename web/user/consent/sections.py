"""The scopes of the consent screen: in sections, grouped by service, and summarized in one line."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.text import plain_text
from resources.catalogue import Scope
from resources.categories import category_name
from resources.risks import CRITICAL, RISK_LEVELS
from web.display.labels import highest_risk
from web.user.consent.form import MAX_OPEN, Choice

# More scopes than these are unusual, and the screen says so.
MAX_USUAL = 15
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
class Summary:
    """The connection after the request in one line, with its highest risk.

    `critical` are the titles of new critical scopes, and `is_unusual` says that unusually many scopes are new.
    """

    text: str
    risk: str | None
    is_unusual: bool
    critical: Sequence[str]


def sections(required: Sequence[Choice], optional: Sequence[Choice], known: Sequence[Choice]) -> list[Section]:
    """Return the sections that have scopes."""
    parts = (("required", required), ("optional", optional), (KNOWN, known))
    number = sum(len(choices) for _, choices in parts)
    return [Section(name, list(_groups(name, choices, number))) for name, choices in parts if choices]


def summarize(new: Sequence[Choice], known: Sequence[Choice]) -> Summary:
    """Return what the agent may do if everything is allowed, including live scopes that it does not request again."""
    scopes = [choice.scope for choice in (*new, *known)]
    words = [*_counted(scopes), *([_count_of_new(len(new))] if known else [])]
    risk = highest_risk(scope.risk_level for scope in scopes)
    critical = [plain_text(choice.scope.local_title) for choice in new if choice.scope.risk_level == CRITICAL]
    return Summary(", ".join(words), risk, is_unusual=len(new) > MAX_USUAL, critical=critical)


def _counted(scopes: Sequence[Scope]) -> Iterator[str]:
    number, critical = len(scopes), sum(scope.risk_level == CRITICAL for scope in scopes)
    yield ngettext("%(number)s permission", "%(number)s permissions", number) % {"number": number}
    counted = ngettext("%(number)s critical", "%(number)s critical", critical) % {"number": critical}
    yield counted if critical else _("nothing critical")


def _count_of_new(number: int) -> str:
    return ngettext("%(number)s new", "%(number)s new", number) % {"number": number} if number else _("nothing new")


def _groups(section: str, choices: Iterable[Choice], number: int) -> Iterator[Group]:
    """Yield the groups of a section on a screen with this number of scopes.

    Critical scopes are not hidden, except in a long list, where the screen names them above it. Scopes that the user
    ticked or whose limits they want to set are not hidden either. In a long list, nothing new is ticked in advance.
    """
    members: dict[tuple[str, str], list[Choice]] = {}
    for choice in choices:
        members.setdefault((choice.scope.defined_by, _category_of(choice)), []).append(choice)
    for (organization, category), found in members.items():
        is_critical = any(choice.scope.risk_level == CRITICAL for choice in found)
        is_chosen = section != KNOWN and any(choice.ticked for choice in found)
        is_open = is_chosen or (is_critical and number <= MAX_USUAL)
        name = plain_text(organization) or category_name(category)
        yield Group(name, not organization, found, number > MAX_OPEN, is_open or any(one.is_opened for one in found))


def _category_of(choice: Choice) -> str:
    """Return the key of the scope's service. All scopes of an organization count as one service."""
    return "" if choice.scope.defined_by else choice.scope.category
