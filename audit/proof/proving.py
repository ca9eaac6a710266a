"""The proof of one entry for one of its readers."""

from typing import Any

from django.utils.translation import gettext_noop

from audit.condition import warn_of_damage
from audit.models import Entry
from audit.proof.evidence import NOTHING, FindVisible, both, collect_evidence
from audit.proof.proofs import Tree, encode_proof
from audit.readers.criteria import Criteria
from audit.readers.disclosure import visible_to_organization, visible_to_user
from audit.readers.reading import AuditEntry, Visible, read_entry
from audit.readers.search import find_entry
from audit.signing import checkpoints
from core.errors import Conflict, NotFound


class NotSequenced(Conflict):
    """The entry is written, but no checkpoint covers it yet."""

    code = "not_sequenced"
    title = gettext_noop("No checkpoint covers the entry yet")
    remedy = "Try again after the number of seconds in Retry-After."
    retry_after = 1


def prove_entry(entry_id: str, *, user_id: str | None, organization_id: str | None) -> dict[str, Any]:
    """Return the proof of an entry about this user or in the log of this organization (docs/evidence-formats.md).

    Raises `NotFound` for an entry of others, and `NotSequenced`.
    """
    entry = find_entry(Criteria(), entry_id)
    found = read_entry(entry) if entry else None
    if found is None or not _is_reader(found, user_id, organization_id):
        raise NotFound(warn_of_damage("No such entry."))
    checkpoint = checkpoints.covering(entry.leaf_index) if isinstance(entry, Entry) else None
    if not isinstance(entry, Entry) or checkpoint is None:
        raise NotSequenced
    (evidence,) = collect_evidence([entry], _visible_to(found, user_id, organization_id))
    proof = Tree(checkpoint.size).inclusion_proof(entry.leaf_index)
    return {**evidence.described(), "proof": encode_proof(proof), "checkpoint": checkpoints.note_of(checkpoint)}


def _is_reader(entry: AuditEntry, user_id: str | None, organization_id: str | None) -> bool:
    is_own = user_id is not None and entry.user_id == user_id
    return is_own or organization_id in entry.organization_ids


def _visible_to(entry: AuditEntry, user_id: str | None, organization_id: str | None) -> FindVisible:
    """Return what a caller may see who is the user, a member of the organization, or both."""

    def find(content: Any) -> Visible:
        visible = visible_to_user(content, user_id) if user_id and entry.user_id == user_id else NOTHING
        if organization_id and organization_id in entry.organization_ids:
            visible = both(visible, visible_to_organization(content, organization_id))
        return visible

    return find
