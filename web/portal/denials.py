"""The newest denials of the overview."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audit.readers.reading import AuditEntry
from web.denials import Words, explain_denial
from web.developer_log import log_rows


@dataclass(frozen=True, slots=True)
class Denial:
    """An entry of the log with names, and why it was denied."""

    entry: dict[str, Any]
    why: Words
    remedy: Words


def denials_of(entries: Sequence[AuditEntry], organization_id: str) -> list[Denial]:
    return [Denial(one, *explain_denial(one["reason"], one["metadata"])) for one in log_rows(entries, organization_id)]
