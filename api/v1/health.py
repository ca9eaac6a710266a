"""The health check."""

import logging
from typing import Literal

import orjson
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError
from django.http import HttpResponse

from api.endpoint import Endpoint
from api.operations import operation
from api.v1.schemas.health import ChecksOut, HealthOut, LogOut
from audit.sequencing.lag import lag_seconds
from core.http import django_response
from core.ids import new_id
from core.messages import Reply
from tokens.models import AccessToken

logger = logging.getLogger(__name__)

CACHE_SECONDS = 10


class Health(Endpoint):
    """The status depends only on the database. Without the cache, the server is only slower."""

    @operation("getHealth", "Check whether this server can decide", answer=HealthOut, unavailable=HealthOut)
    def get(self) -> HttpResponse:
        is_up = _is_database_up()
        lag = lag_seconds() if is_up else None
        response = django_response(health_reply(is_database_up=is_up, is_cache_up=is_cache_up(), log_lag=lag))
        # Keep Django from logging each 503 of these frequent requests: its cause is in the log already, in one line.
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response


def health_reply(*, is_database_up: bool, is_cache_up: bool, log_lag: float | None) -> Reply:
    """Return the health of this server. The event loop answers with it too. `log_lag` is in seconds."""
    checks = ChecksOut(database=_status(is_database_up), cache=_status(is_cache_up))
    log = LogOut(lag_seconds=None if log_lag is None else round(log_lag, 3))
    body = HealthOut(status=checks.database, version=settings.VERSION, checks=checks, log=log).model_dump(by_alias=True)
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
    if is_database_up:
        return Reply(200, headers, orjson.dumps(body))
    return Reply(503, [*headers, ("Retry-After", "1")], orjson.dumps(body))


def _is_database_up() -> bool:
    """Return whether a table that every decision reads can be read."""
    try:
        AccessToken.objects.exists()
    except DatabaseError as error:
        logger.error("The database does not answer: %s", _first_line(error))
        return False
    return True


def is_cache_up() -> bool:
    """Return whether a written value can be read. A cache that swallows its errors returns None."""
    token = new_id("chk")
    try:
        cache.set("health", token, CACHE_SECONDS)
        return cache.get("health") is not None
    except Exception as error:
        logger.warning("The cache does not answer: %s", _first_line(error))
        return False


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".split("\n", 1)[0]


def _status(is_up: bool) -> Literal["ok", "unavailable"]:
    return "ok" if is_up else "unavailable"
