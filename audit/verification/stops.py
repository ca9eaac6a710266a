"""Checks that nothing was allowed while everything was stopped. No stream has these stops, so no export can show it."""

from audit.events import Event, Outcome
from audit.models import Entry
from audit.verification import Bad

ANSWERS = frozenset({Event.TOKEN_VERIFY, Event.TOKEN_INTROSPECTED})


class Stops:
    """The stop of everything that is in force after the entries so far, by its index."""

    def __init__(self) -> None:
        self._since: int | None = None

    def append(self, entry: Entry) -> None:
        if entry.event == Event.EVERYTHING_STOPPED and self._since is None:
            self._since = entry.leaf_index
        elif entry.event == Event.EVERYTHING_STOP_LIFTED:
            self._since = None
        elif self._since is not None and entry.event in ANSWERS and entry.outcome == Outcome.ALLOWED:
            raise Bad(f"allowed while everything was stopped, which index {self._since} logs", entry.leaf_index)
