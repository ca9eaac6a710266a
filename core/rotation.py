"""Secrets that can be rotated with an overlap, during which the old and the new secret both work.

Of an owner's secrets, at most ten work at once, including those in an overlap: otherwise repeated rotations would make
any number. A use is written when ten minutes have passed since the last one, so authentication stays one read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_noop

from core import clock, secrets
from core.errors import Conflict, Invalid
from core.fields import ExactCharField
from core.text import PlainTextField
from core.wording import Filled

MAX_OVERLAP_SECONDS = 604_800
# The use of a secret is recorded at most once in this time.
USE_PRECISION = timedelta(minutes=10)


class AlreadyReplaced(Conflict):
    """A secret that a new one has replaced, and that still works for a while, cannot be rotated again."""

    code = "already_replaced"
    title = gettext_noop("A new secret has replaced this one")
    remedy = "Rotate the new one, or create another."


class RotatableSecret(models.Model):
    """The digest of a secret and its last four characters, for display. `expires_at` is set by rotation."""

    kind: ClassVar[str]

    digest = ExactCharField(max_length=64, unique=True)
    last_four = models.CharField(max_length=4)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.kind}_…{self.last_four}"

    @property
    def is_replaced(self) -> bool:
        """Return whether a new one has replaced it, so that it ends soon."""
        return self.expires_at is not None


class NamedSecret(RotatableSecret):
    """A secret with its developer's name for the place that uses it. The first one that an owner gets has none."""

    name = PlainTextField(max_length=100, blank=True)
    # Accurate to `USE_PRECISION`.
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta(RotatableSecret.Meta):
        abstract = True


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A new secret, whose `value` is shown only once. The previous ones stop working at `previous_expires_at`."""

    row: Any
    value: str
    previous_expires_at: datetime

    def __repr__(self) -> str:
        return f"NewSecret(previous_expires_at={self.previous_expires_at!r})"


@dataclass(frozen=True, slots=True)
class AddedSecret:
    """Another secret, whose `value` is shown only once."""

    row: Any
    value: str

    def __repr__(self) -> str:
        return f"AddedSecret({self.row!r})"


def live(now: datetime) -> Q:
    """Return the filter for secrets that still work at `now`."""
    return Q(expires_at__isnull=True) | Q(expires_at__gt=now)


def add_secret(rows: Any, *, prefix: str, now: datetime, fields: Mapping[str, Any] | None = None) -> str:
    """Insert a secret through the related manager `rows` and return its value, which is not stored."""
    return create_secret(rows, prefix=prefix, now=now, fields=fields).value


def create_secret(rows: Any, *, prefix: str, now: datetime, fields: Mapping[str, Any] | None = None) -> AddedSecret:
    """Insert a secret through the related manager `rows` and return it with its value, which is not stored."""
    value = secrets.new_secret(prefix)
    row = rows.create(digest=secrets.digest(value), last_four=value[-4:], created_at=now, **(fields or {}))
    return AddedSecret(row, value)


def sole[S: NamedSecret](found: Iterable[S]) -> S | None:
    """Return the only secret that no new one has replaced. None if there is none, or if there are several."""
    current = [secret for secret in found if not secret.is_replaced]
    return current[0] if len(current) == 1 else None


def rotate_secret(
    rows: Any,
    *,
    prefix: str,
    now: datetime,
    overlap_seconds: int,
    most: int,
    fields: Mapping[str, Any] | None = None,
    replaced: Q | None = None,
) -> NewSecret:
    """Insert a new secret and expire the others, or those that are `replaced`, after the overlap. Lock the owner first.

    Secrets that expire sooner are not extended. Raises `Invalid` if more than `most` would work at once.
    """
    end = now + timedelta(seconds=overlap_seconds)
    rows.filter(live(end), replaced or Q()).update(expires_at=end)
    if rows.filter(live(now)).count() >= most:
        text = gettext_noop("At most %(most)d can work at once. Rotate without an overlap, or wait until fewer work.")
        raise Invalid.field("overlapSeconds", Filled(text, most=most))
    added = create_secret(rows, prefix=prefix, now=now, fields=fields)
    return NewSecret(added.row, added.value, end)


def find_live_secret(rows: models.QuerySet[Any], value: str, now: datetime) -> Any | None:
    """Return the live row with this secret, or None if the secret is wrong or has expired."""
    return rows.filter(live(now), digest=secrets.digest(value)).first()


def note_use(secret: NamedSecret) -> None:
    """Record that the secret was used now. Of several uses at once, one writes."""
    now = clock.now()
    if secret.last_used_at is None or now - secret.last_used_at >= USE_PRECISION:
        is_old = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_PRECISION)
        type(secret)._default_manager.filter(is_old, pk=secret.pk).update(last_used_at=now)
