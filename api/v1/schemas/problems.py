"""Problem details (RFC 9457)."""

from django.conf import settings
from pydantic import ConfigDict
from pydantic.config import JsonDict

from api.v1.schemas.base import Omittable, Out


def add_example(schema: JsonDict) -> None:
    example: JsonDict = {
        "type": f"{settings.API_URL}/api/docs/errors#validation_failed",
        "title": "The request is not valid",
        "status": 400,
        "detail": "A field is not valid.",
        "code": "validation_failed",
        "requestId": "req_019a1b2c3d4e7f8091a2b3c4d5e6f708",
        "errors": [{"field": "name", "message": "This field is required."}],
    }
    schema["examples"] = [example]


class ProblemFieldOut(Out):
    """An error in one field. `field` is its path in the request, such as `rules.0.config.timezone`."""

    field: str
    message: str


class ProblemOut(Out):
    """An error (RFC 9457). `code` is stable; the texts are for humans and can change."""

    model_config = ConfigDict(json_schema_extra=add_example)

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: Omittable[list[ProblemFieldOut]] = None
