"""Whether this server can decide."""

import logging

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.endpoint import Endpoint
from api.operations import operation
from core.ids import new_id
from tokens.models import AccessToken

logger = logging.getLogger(__name__)

CACHE_SECONDS = 10


class Checks(serializers.Serializer):
    database = serializers.ChoiceField(choices=["ok", "unavailable"])
    cache = serializers.ChoiceField(choices=["ok", "unavailable"])


class HealthReport(serializers.Serializer):
    """`status` is `ok` with 200 and `unavailable` with 503; without the cache we are only slower."""

    status = serializers.ChoiceField(choices=["ok", "unavailable"])
    version = serializers.CharField()
    checks = Checks()


class Health(Endpoint):
    """The database alone decides: without the cache we are only slower."""

    @operation("getHealth", "Whether this server can decide", answer=HealthReport, unavailable=HealthReport)
    def get(self, request: Request) -> Response:
        database = _is_database_up()
        checks = {"database": _word(database), "cache": _word(_is_cache_up())}
        body = {"status": _word(database), "version": settings.VERSION, "checks": checks}
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


def _word(is_up: bool) -> str:
    return "ok" if is_up else "unavailable"
