"""Find entries by their numbers in an organization's stream.

Numbers have no gaps, and milestones say which one each segment ends with. So the entry with a number is found by
counting the organization's entries from the end of the segment before.
"""

from itertools import islice

from django.db.models import Max, Subquery
from django.db.models.functions import Coalesce

from audit.models import Entry
from audit.proof.members import ORGANIZATION, Stream, read_values
from audit.readers.finding import sizes
from audit.sequencing.postings import SEGMENT
from events.following import COLUMNS, Row
from events.models import Follower, Milestone


def index_after(organization_id: str, number: int) -> int:
    """Return the index of the organization's next entry after the one with this number, 0 for its first.

    If there is none yet, it is an index that no entry has yet: the next one has at least this. Raises `MissingEntry`
    and `ArchiveUnavailable`.
    """
    size = sizes()[0]
    milestones = Milestone.objects.filter(organization_id=organization_id)
    found = milestones.filter(number__gt=number).order_by("number").first()
    if found is None:
        (low, before), high = _reached(organization_id), size - 1
    else:
        before = milestones.filter(segment__lt=found.segment).aggregate(last=Max("number"))["last"] or 0
        low, high = found.segment * SEGMENT, (found.segment + 1) * SEGMENT - 1
    if high < low:
        return size
    entries = Stream(ORGANIZATION, organization_id).ascending(low, high, is_brief=True)
    entry = next(islice(entries, max(number - before, 0), None), None)
    return size if entry is None else int(entry.leaf_index)


def newest_number(organization_id: str) -> int:
    """Return the number of the organization's newest entry in the log, or 0. Raises like `index_after`."""
    size = sizes()[0]
    index, number = _reached(organization_id)
    if size <= index:
        return number
    if size - index > SEGMENT and (found := _newest(organization_id, size)) is not None:
        return found
    return number + sum(1 for _ in Stream(ORGANIZATION, organization_id).ascending(index, size - 1, is_brief=True))


def _newest(organization_id: str, size: int) -> int | None:
    """Return the number of the organization's newest entry as the entry itself has it. None if it cannot be read.

    It takes no longer if the follower is far behind, as without a worker.
    """
    entry = next(Stream(ORGANIZATION, organization_id).descending(size - 1), None)
    if entry is None:
        return 0
    stored = Entry.objects.filter(leaf_index=entry.leaf_index)
    (values,) = read_values([entry.leaf_index], stored, COLUMNS)
    return Row(*values).number_in(organization_id)


def _reached(organization_id: str) -> tuple[int, int]:
    """Return up to which index, exclusive, the follower has come, and the organization's last number before it.

    One statement reads both, because the follower goes on meanwhile.
    """
    last = Milestone.objects.filter(organization_id=organization_id).order_by("-number").values("number")[:1]
    return Follower.objects.values_list("next_index", Coalesce(Subquery(last), 0)).first() or (0, 0)
