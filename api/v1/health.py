"""Whether this server can decide."""

import logging
from typing import Literal

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError
from rest_framework.response import Response

from api.endpoint import Endpoint
from api.operations import operation
from api.v1.schemas.health import ChecksOut, HealthOut
from core.ids import new_id
from tokens.models import AccessToken

logger = logging.getLogger(__name__)

CACHE_SECONDS = 10


class Health(Endpoint):
    """The database alone decides: without the cache we are only slower."""

    @operation("getHealth", "Whether this server can decide", answer=HealthOut, unavailable=HealthOut)
    def get(self) -> Response:
        database = _is_database_up()
        checks = ChecksOut(database=_word(database), cache=_word(_is_cache_up()))
        body = HealthOut(status=checks.database, version=settings.VERSION, checks=checks).model_dump()
        response = Response(body, status=200 if database else 503, headers={} if database else {"Retry-After": "1"})
        # Health checks ask every few seconds: what is wrong is in the log already, in one line.
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response


def _is_database_up() -> bool:
    """Read from a table that every decision reads; nothing is written."""
    try:
        AccessToken.objects.exists()
    except DatabaseError as error:
        logger.error("The database does not answer: %s", _first_line(error))
        return False
    return True


def _is_cache_up() -> bool:
    """Write and read a value: a cache that swallows its errors answers None."""
    token = new_id("chk")
    try:
        cache.set("health", token, CACHE_SECONDS)
        return cache.get("health") is not None
    except Exception as error:
        logger.warning("The cache does not answer: %s", _first_line(error))
        return False


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".split("\n", 1)[0]


def _word(is_up: bool) -> Literal["ok", "unavailable"]:
    return "ok" if is_up else "unavailable"
