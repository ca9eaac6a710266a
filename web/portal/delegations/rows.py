"""Delegations as the organization of an agent that gives or receives them may see them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.formats import money, number
from core.text import plain_text
from policies.rules import find_rule, sentence_of
from resources.catalogue import Scope, describe_scopes
from tokens.delegation_selectors import State, Use
from tokens.models import Delegation
from web.portal.logs.rows import shortened

# By the name of a state: the words, and the kind of the pill.
PILLS = {
    "active": (gettext_lazy("Active"), "good"),
    "waiting": (gettext_lazy("Not redeemed yet"), "note"),
    "ended": (gettext_lazy("Ended"), ""),
    "expired": (gettext_lazy("Expired"), ""),
    "missed": (gettext_lazy("Not redeemed"), ""),
    "cut": (gettext_lazy("Ended from above"), ""),
}


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit in words. `used` is what was used of it, in words, or empty if it counts nothing."""

    words: str
    used: str


@dataclass(frozen=True, slots=True)
class DelegationRow:
    """A delegation. `is_given` is whether the organization's own agent handed the work over: then it sees all limits.

    `is_below` is whether that agent, or one above it, is the organization's, which may end it then.
    """

    state: State
    now: datetime
    is_given: bool
    is_below: bool

    @property
    def one(self) -> Delegation:
        return self.state.delegation

    @property
    def id(self) -> str:
        return str(self.one.pk)

    @property
    def name(self) -> str:
        """Its state: one of `PILLS`. What is above it may have ended without a mark of its own."""
        if self.state.is_active:
            return "active" if self.one.redeemed_at else "waiting"
        if self.one.ended_at is not None:
            return "ended"
        if self.one.redeemed_at is None and self.one.token_expires_at <= self.now:
            return "missed"
        return "expired" if self.one.expires_at <= self.now else "cut"

    @property
    def pill(self) -> tuple[Any, str]:
        return PILLS[self.name]

    @property
    def short_user_id(self) -> str:
        return shortened(self.one.user_id)

    @property
    def can_end(self) -> bool:
        return self.is_below and self.state.is_active

    @property
    def scopes(self) -> Sequence[Scope]:
        return describe_scopes(self.one.scopes)

    @property
    def more_scopes(self) -> int:
        """The number of scopes beyond the two that a list shows."""
        return max(0, len(self.one.scopes) - 2)

    @property
    def uncounted(self) -> int:
        """The number of limits that count nothing."""
        return sum(not limit.used for limit in self.limits)

    @property
    def limits(self) -> list[Limit]:
        """The limits. The organization of the agent that received the work sees those that count."""
        return [Limit(_sentence(use), _used(use)) for use in self.state.uses_for(is_giver=self.is_given)]

    @property
    def targets(self) -> list[str]:
        """What bounds scopes, which only the giver's organization sees, because it can be personal."""
        return list(_targets(self.one.targets)) if self.is_given else []


def _sentence(use: Use) -> str:
    """Return the limit in words, and for what it counts."""
    rule = find_rule(use.limit)
    # As for the user: it counts the calls for one user only.
    words = sentence_of(rule, {})
    return f"{use.scope}: {words}" if use.scope else words


def _used(use: Use) -> str:
    if use.used is None:
        return ""
    config = use.limit["config"]
    if use.amount:
        used, most = money(use.amount), money({"value": config["maxAmount"], "currency": config["currency"]})
    else:
        used, most = number(use.used), number(config["maxRequests"])
    return _("%(used)s of %(most)s") % {"used": used, "most": most}


def _targets(targets: Any) -> Iterator[str]:
    for scope, bounds in targets.items():
        for target in bounds:
            yield f"{scope}: {target['field']} {plain_text(', '.join(target['identifiers']))}"
