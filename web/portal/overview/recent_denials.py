"""The newest denials of the overview."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audit.readers.reading import AuditEntry
from audit.selectors import describe_for_organization
from decisions.wording import Explanation, explain_denial
from web.wording.names import add_names
from web.wording.rulings import Ruling, read_ruling


@dataclass(frozen=True, slots=True)
class Denial:
    """A log entry, its content with the names that the organization may know, and why the request was denied."""

    entry: AuditEntry
    content: dict[str, Any]
    explanation: Explanation
    ruling: Ruling | None


def denials_of(entries: Sequence[AuditEntry], organization_id: str) -> list[Denial]:
    """Return the entries, in order, with their names and explanations."""
    described = add_names(describe_for_organization(entries, organization_id), organization_id=organization_id)
    existing = {content["policyId"] for content in described if content["isPolicyKnown"]}
    return [
        Denial(
            entry,
            content,
            explain_denial(content["reason"], content["metadata"]),
            read_ruling(content["policyId"], content["metadata"], existing),
        )
        for entry, content in zip(entries, described, strict=True)
    ]
