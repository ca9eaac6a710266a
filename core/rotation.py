"""Secrets that overlap while they are rotated: rows with a digest, the last four characters and an end."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from core import secrets

MAX_OVERLAP_SECONDS = 604_800


class RotatableSecret(models.Model):
    """A secret by its digest, with the last characters to know it by and, once rotated, an end."""

    kind: ClassVar[str]

    digest = models.CharField(max_length=64, unique=True)
    last_four = models.CharField(max_length=4)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.kind}_…{self.last_four}"


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret just made: shown once. `previous_expires_at` is when those before it stop working."""

    value: str
    previous_expires_at: datetime

    def __repr__(self) -> str:
        return f"NewSecret(previous_expires_at={self.previous_expires_at!r})"


def live(now: datetime) -> Q:
    """Return the filter for secrets that still work at `now`."""
    return Q(expires_at__isnull=True) | Q(expires_at__gt=now)


def add_secret(rows: Any, *, prefix: str, now: datetime, fields: Mapping[str, Any] | None = None) -> str:
    """Insert a secret through the related manager `rows`; return its value, which is not kept."""
    value = secrets.new_secret(prefix)
    rows.create(digest=secrets.digest(value), last_four=value[-4:], created_at=now, **(fields or {}))
    return value


def rotate_secret(
    rows: Any, *, prefix: str, now: datetime, overlap_seconds: int, fields: Mapping[str, Any] | None = None
) -> NewSecret:
    """Insert a new secret and end the others after the overlap; none is prolonged. Lock their owner first."""
    end = now + timedelta(seconds=overlap_seconds)
    rows.filter(live(end)).update(expires_at=end)
    return NewSecret(add_secret(rows, prefix=prefix, now=now, fields=fields), end)


def find_live_secret(rows: models.QuerySet[Any], value: str, now: datetime) -> Any | None:
    """Return the live row with this secret. None for a wrong or ended one."""
    return rows.filter(live(now), digest=secrets.digest(value)).first()
