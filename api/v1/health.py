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
from audit.condition import Condition, look
from audit.services import probe
from core.http import django_response
from core.ids import new_id
from core.messages import Reply
from tokens.models import AccessToken

logger = logging.getLogger(__name__)

CACHE_SECONDS = 10


class Health(Endpoint):
    """The status depends only on the database and the log. Without the cache, the server is only slower."""

    @operation("getHealth", "Check whether this server can decide", answer=HealthOut, unavailable=HealthOut)
    def get(self) -> HttpResponse:
        condition = _look_and_write()
        can_decide = condition is not None
        response = django_response(health_reply(can_decide=can_decide, is_cache_up=is_cache_up(), condition=condition))
        # Keep Django from logging each 503 of these frequent requests: its cause is in the log already, in one line.
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response


def health_reply(*, can_decide: bool, is_cache_up: bool, condition: Condition | None) -> Reply:
    """Return the health of this server. The event loop answers with it too. `condition` is None if it is not known."""
    reasons = condition.reasons if condition else []
    body = HealthOut(
        status="unavailable" if not can_decide else "degraded" if reasons else "ok",
        reasons=reasons,
        version=settings.VERSION,
        checks=ChecksOut(database=_status(can_decide), cache=_status(is_cache_up)),
        log=LogOut(
            lag_seconds=round(condition.lag_seconds, 3) if condition else None,
            damaged_rows=condition.damaged_rows if condition else None,
        ),
    )
    encoded = orjson.dumps(body.model_dump(by_alias=True))
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
    return Reply(200, headers, encoded) if can_decide else Reply(503, [*headers, ("Retry-After", "1")], encoded)


def _look_and_write() -> Condition | None:
    """Return the condition of the log, or None if what every decision reads cannot be read, or no entry be written."""
    try:
        condition = look()
        AccessToken.objects.exists()
        probe()
    except DatabaseError as error:
        logger.error("The database cannot decide: %s", _first_line(error))
        return None
    return condition


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
