"""What one call may cost in rules whose time depends on a policy's text and on the call (docs/adr/0034).

Cedar policies and conditions share it. In units of about a nanosecond, estimated from sizes. No clock: the same call
must always get the same decision.
"""

from collections.abc import Hashable
from typing import Any

PER_CALL = 3_000_000
# What costs less is not charged: the number of rules is bounded.
FREE = 2000


class TooCostly(Exception):
    """A rule does not fit in the call's budget. It denies."""


class Budget:
    """The budget of a call. It has the results that have been paid for: other rules and traces ask for them again.

    Not safe to share between calls or threads.
    """

    __slots__ = ("left", "results")

    def __init__(self) -> None:
        self.left = PER_CALL
        self.results: dict[Hashable, Any] | None = None

    def spend(self, cost: int) -> bool:
        """Take the cost from what is left, and return whether it fit. Once a cost does not fit, none does."""
        self.left = self.left - cost if cost <= self.left else -1
        return self.left >= 0

    def charge(self, rule: object, cost: int) -> None:
        """Take what a rule costs, once, unless it is little. Raises `TooCostly`."""
        if cost > FREE and self.find(id(rule)) is None:
            if not self.spend(cost):
                raise TooCostly
            self.keep(id(rule), cost)

    def find(self, key: Hashable) -> Any:
        """Return the list with the result that was kept, or None."""
        return self.results.get(key) if self.results else None

    def keep(self, key: Hashable, result: Any) -> None:
        if self.results is None:
            self.results = {}
        self.results[key] = [result]
