"""The place of an entry in the log, and how a reader verifies it without this server."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings

from audit.readers.reading import AuditEntry
from audit.signing import checkpoints


@dataclass(frozen=True, slots=True)
class Proof:
    """`index` is the place of the entry in the log. `size` and `signed_at` describe a checkpoint that covers it.

    All are None until the sequencer has reached the entry. `commands` run in a shell, one after the other.
    """

    index: int | None
    size: int | None
    signed_at: datetime | None
    commands: str


def find_proof(entry: AuditEntry) -> Proof:
    covering = None if entry.index is None else checkpoints.covering(entry.index)
    return Proof(
        entry.index,
        covering.size if covering else None,
        covering.created_at if covering else None,
        _commands(entry.id),
    )


def _commands(entry_id: str) -> str:
    base = f"{settings.API_URL}/api/v1/audit"
    key, proof = f"{urlsplit(settings.API_URL).hostname}.key", f"{entry_id}.json"
    credential = '-H "X-Api-Key: ${AGENTGATE_API_KEY:?Set this to your API key}"'
    lines = (
        ("curl", "-sSo", key, f"{base}/key"),
        ("curl", "-sSfo", proof, credential, f"{base}/{entry_id}/proof"),
        ("agentgate-audit", "proof", proof, "--key", key),
    )
    return "\n".join(map(" ".join, lines))
