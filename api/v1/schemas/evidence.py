"""What the log shows as evidence: proofs and exports."""

from typing import Annotated

from pydantic import Field, WithJsonSchema

from api.v1.schemas.base import GivenMoment, Omittable, Out, Query
from audit.exports import Period

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
    `personal`, `withheld` and `streams` of which the caller may see a part.
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

    @property
    def period(self) -> Period:
        return Period(since=self.since, until=self.until)
