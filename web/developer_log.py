"""Rows of an organization's audit log, as the developer portal shows them."""

from collections.abc import Sequence
from typing import Any

from audit.events import SANDBOX
from audit.readers.reading import AuditEntry
from audit.selectors import describe_for_organization
from web.names import add_names


def log_rows(entries: Sequence[AuditEntry], organization_id: str) -> list[dict[str, Any]]:
    """Return what the organization may read of the entries, with names, in the same order.

    `is_sandbox` marks those of trials, whose `metadata.wouldBe` is what verify answered.
    """
    described = add_names(describe_for_organization(entries, organization_id), organization_id=organization_id)
    return [
        {**content, "row": entry, "is_sandbox": entry.event in SANDBOX}
        for content, entry in zip(described, entries, strict=True)
    ]
