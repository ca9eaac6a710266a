"""The query of forward authorization, which the proxy's configuration sets."""

from pydantic import Field

from api.v1.schemas.base import Line, Omittable, Query, Text
from api.v1.schemas.tokens import MAX_ACTION

MAX_LENGTH = 2000


class ForwardAuthQuery(Query):
    """The parameters of the proxy's query. Other parameters and empty ones are ignored."""

    scopes: Omittable[Text] = Field(
        None, max_length=MAX_LENGTH, description="Separated by spaces. X-Required-Scopes can add more."
    )
    action: Omittable[Line] = Field(None, max_length=MAX_ACTION)
    resource: Omittable[Line] = Field(None, max_length=MAX_LENGTH)
    resource_metadata: Omittable[Text] = Field(
        None,
        alias="resource_metadata",
        max_length=MAX_LENGTH,
        description="The metadata URL in challenges (RFC 9728).",
    )
