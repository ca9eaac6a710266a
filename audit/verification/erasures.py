"""Checks that each key that was destroyed had a reason in the log: the erasure of a user, or the age of a month."""

from audit.entries.personal_keys import is_expired
from audit.events import Event
from audit.models import PersonalKey
from audit.readers.waiting import waiting_entries
from audit.verification import Bad
from audit.verification.entries import Checked

KEYS_PER_READ = 500


class Erasures:
    """The subjects whose personal data is erased, with the first entry of each, and those that erasures name."""

    def __init__(self) -> None:
        self._destroyed: dict[str, int] = {}
        self._named: set[str] = set()

    def append(self, checked: Checked) -> None:
        if checked.destroyed is not None:
            self._destroyed.setdefault(checked.destroyed, checked.entry.leaf_index)
        if checked.entry.event == Event.USER_ERASED:
            self._name(checked.entry.content)

    def check_end(self) -> None:
        """Check the reasons. An erasure may be in the journal still: its key is destroyed at once."""
        if self._destroyed.keys() - self._named:
            for entry in waiting_entries():
                if entry.content["event"] == Event.USER_ERASED:
                    self._name(entry.content)
        unnamed = sorted(self._destroyed.keys() - self._named, key=self._destroyed.__getitem__)
        for start in range(0, len(unnamed), KEYS_PER_READ):
            self._check(unnamed[start : start + KEYS_PER_READ])

    def _name(self, content: dict[str, object]) -> None:
        metadata = content["metadata"]
        subjects = metadata.get("subjects", ()) if isinstance(metadata, dict) else ()
        self._named.update([str(content["userId"]), *map(str, subjects)])

    def _check(self, subjects: list[str]) -> None:
        """Check that these keys were destroyed because their months were over."""
        stored = PersonalKey.objects.filter(subject__in=subjects).values_list("subject", "month", "destroyed_at")
        expired = {subject for subject, month, at in stored if at and is_expired(month, at)}
        for subject in subjects:
            if subject not in expired:
                why = f"the key of {subject} was destroyed, but no user.erased names it, and its month is not over"
                raise Bad(why, self._destroyed[subject])
