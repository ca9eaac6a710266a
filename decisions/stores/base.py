"""The interface of a store, and what its failures mean."""

from collections.abc import Callable, Sequence
from math import inf
from typing import Protocol

from decisions.questions import Question
from decisions.requests import Decision

Committing = Callable[[int], None]
"""Called with the number of decisions of a batch once all is done but its commit."""


def ignore(number: int) -> None:
    """Do nothing when a batch commits."""


class StoreUnavailable(Exception):
    """The database cannot be reached, or did not answer in time. No decision of the batch was returned."""

    def __init__(self, kind: str, detail: str, *, may_have_committed: bool = False) -> None:
        super().__init__(detail)
        self.kind = kind
        """`connection`, `timeout` or `statement`, for the metrics."""
        self.may_have_committed = may_have_committed
        """Whether the answer to the batch's COMMIT was lost."""


class Store(Protocol):
    """Decides batches, one at a time. After a failure, the next batch starts with a new connection if necessary.

    If it `reads_beside_commits`, it can decide another batch while one commits.
    """

    reads_beside_commits: bool

    async def decide(
        self, questions: Sequence[Question], seconds: float = inf, committing: Committing = ignore
    ) -> list[Decision]:
        """Return the decisions in order, after their commit. If all would take more than about `seconds`, return
        only those of the first questions, at least one.

        If it `reads_beside_commits`, it calls `committing` when only the commit is left.

        Raises `StoreUnavailable`. Any other exception is caused by the batch itself, so another batch may succeed.
        In both cases, the batch may have been committed only if the commit's answer was lost.
        """

    async def ping(self, *, writes: bool = True) -> None:
        """Read what every decision reads and, if it `writes`, commit an empty row of the journal.

        Raises `StoreUnavailable`.
        """

    async def close(self) -> None:
        """Close the connection. The next batch opens another one."""
