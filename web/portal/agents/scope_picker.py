"""A picker for the scopes that an agent may ask for, grouped by service."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from core.text import plain_text
from policies.models import Policy
from resources.catalogue import Scope, catalogue, describe_scopes
from resources.categories import category_name
from resources.selectors import own_scopes
from web.display.labels import highest_risk

# The text is posted, so the length limit of URLs does not apply. Each word is compared with each scope.
MAX_SEARCH = 100
# What most agents ask for. The picker folds the other categories.
COMMON = ("email", "calendar", "files", "messaging", "payments")
NONE_REFUSED: Mapping[str, Policy] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Pick:
    """A scope with its checkbox. A scope that the search does not find is hidden, but stays ticked."""

    scope: Scope
    is_ticked: bool
    is_found: bool
    refused_by: Policy | None = None
    """The policy that denies every request for it."""


@dataclass(slots=True)
class Service:
    """The scopes of one service. `is_ours` says whether its name comes from the catalogue."""

    name: str
    is_ours: bool
    picks: list[Pick] = field(default_factory=list)
    is_searched: bool = False
    is_common: bool = False

    @property
    def risk(self) -> str | None:
        """The highest risk of what is ticked, or None if nothing is."""
        return highest_risk(pick.scope.risk_level for pick in self.picks if pick.is_ticked)

    @property
    def ticked(self) -> int:
        return sum(pick.is_ticked for pick in self.picks)

    @property
    def is_found(self) -> bool:
        return any(pick.is_found for pick in self.picks)

    @property
    def is_open(self) -> bool:
        """Return whether the page initially shows its scopes: one is ticked, or the search found one."""
        return bool(self.ticked) or (self.is_searched and self.is_found)

    @property
    def is_first(self) -> bool:
        """Whether it is not folded away with the others."""
        return self.is_common or not self.is_ours or bool(self.ticked)


def offered_scopes(organization_id: str, kept: Collection[str] = ()) -> list[Scope]:
    """Return the catalogue, the organization's own scopes, and any others that the agent already has."""
    own = own_scopes(organization_id).values_list("id", flat=True)
    return describe_scopes([*catalogue(), *own, *kept])


def services(
    scopes: Sequence[Scope], ticked: Collection[str], search: str = "", refused: Mapping[str, Policy] = NONE_REFUSED
) -> list[Service]:
    """Return the scopes by service, in order. A scope's texts must contain all words in `search`.

    Only the first `MAX_SEARCH` characters of a search count. `refused` is what `refused_scopes` returns.
    """
    words = search[:MAX_SEARCH].lower().split()
    found: dict[tuple[str, str], Service] = {}
    for scope in scopes:
        name = plain_text(scope.defined_by) or category_name(scope.category)
        service = found.setdefault(
            (scope.defined_by, "" if scope.defined_by else scope.category),
            Service(name, not scope.defined_by, is_searched=bool(words), is_common=scope.category in COMMON),
        )
        is_found = _matches(scope, name, words)
        service.picks.append(Pick(scope, scope.id in ticked, is_found, refused.get(scope.id)))
    return list(found.values())


def _matches(scope: Scope, service: str, words: Sequence[str]) -> bool:
    text = f"{service} {scope.title} {scope.id} {scope.risk_level} {scope.description}".lower()
    return all(word in text for word in words)
