"""What the log shows as evidence: proofs and exports."""

from typing import Annotated, Self

from pydantic import Field, WithJsonSchema, model_validator

from api.v1.schemas.base import GivenMoment, Omittable, Out, Query
from audit.proof.exports import Period
from core.validation import invalid_fields

# A part as the canonical JSON of its salt, name and value, or the digest of a part that this reader may not see.
Disclosure = Annotated[
    str | dict[str, str],
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": {"digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
                    "required": ["digest"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]


class ProofOut(Out):
    """An entry with the proof that the checkpoint covers it. `entry` is the exact text that was hashed.

    `proof` is the audit path of RFC 6962 section 2.1.1, each hash in base64. `disclosures` has those of the groups
    `personal`, `withheld` and `streams` that the caller may see at least in part.
    """

    index: int = Field(ge=0)
    entry: str
    disclosures: dict[str, list[Disclosure]]
    proof: list[str]
    checkpoint: str


class ExportQuery(Query):
    """The period to export. `from` is inclusive, `to` exclusive. Without them, the export has everything."""

    since: Omittable[GivenMoment] = Field(None, alias="from")
    until: Omittable[GivenMoment] = Field(None, alias="to")

    @model_validator(mode="after")
    def _require_order(self) -> Self:
        if self.since and self.until and self.since > self.until:
            raise invalid_fields(type(self), [("to", "Must not be before from.")])
        return self

    @property
    def period(self) -> Period:
        return Period(since=self.since, until=self.until)
