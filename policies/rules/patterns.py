"""Action patterns: a name, or a prefix followed by `*`."""

from collections.abc import Iterable, Sized
from dataclasses import dataclass
from typing import Annotated

from django.utils.translation import gettext_noop
from pydantic import AfterValidator, Field

from core.validation import invalid_value
from policies.rules.fields import Listed, Text

# Of one prefix, for one action.
PREFIX_COST = 12


def _require_final_star(pattern: str) -> str:
    # A star elsewhere would be literal and match nothing, so a blocklist with it would block nothing.
    if "*" in pattern[:-1]:
        raise invalid_value(gettext_noop("Use * only at the end, as in payments:*."))
    return pattern


Patterns = Annotated[
    Listed[Annotated[Text, AfterValidator(_require_final_star)]],
    Field(
        title=gettext_noop("Actions"),
        description=gettext_noop("Scopes such as email:send, or patterns such as payments:*."),
    ),
]


@dataclass(frozen=True, slots=True)
class Matcher:
    """Patterns prepared for many comparisons. They are case-sensitive, and `payments:*` matches that prefix."""

    names: frozenset[str]
    prefixes: tuple[str, ...]

    @classmethod
    def of(cls, patterns: Iterable[str]) -> "Matcher":
        listed = frozenset(patterns)
        prefixes = {pattern for pattern in listed if pattern.endswith("*")}
        return cls(listed - prefixes, tuple(prefix[:-1] for prefix in prefixes))

    def matches(self, action: str) -> bool:
        return action in self.names or action.startswith(self.prefixes)

    def cost_of(self, actions: Sized) -> int:
        """Return about how many nanoseconds it takes to compare all of the actions."""
        return len(actions) * len(self.prefixes) * PREFIX_COST
