"""Checkpoints: signed statements of the log's size and root."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Max

from audit.models import Checkpoint, Cosignature
from audit.signing.log_keys import signer
from audit.signing.notes import checkpoint_text
from core import clock

# For so long, an earlier checkpoint with cosignatures is better than a newer one without.
WITNESS_PATIENCE = timedelta(seconds=10)


def insert(size: int, root: bytes) -> str:
    """Sign and store a checkpoint. Return its note. It must not be published before the transaction has committed."""
    key, now = signer(), clock.now()
    note = key.sign_note(checkpoint_text(key.origin, size, root, now))
    Checkpoint.objects.create(size=size, created_at=now, note=note)
    return note


def latest() -> Checkpoint | None:
    """Return the newest checkpoint, or None before the first entry."""
    found: Checkpoint | None = Checkpoint.objects.order_by("-size").first()
    return found


def published() -> Checkpoint | None:
    """Return the newest checkpoint that a witness has signed or, if they are late or there are none, the newest."""
    newest = latest()
    if newest is None or not settings.AUDIT_WITNESSES:
        return newest
    signed = Cosignature.objects.aggregate(size=Max("size"))["size"]
    earlier: Checkpoint | None = Checkpoint.objects.filter(size=signed).first() if signed else None
    waiting = Checkpoint.objects.filter(size__gt=signed or 0).order_by("size").first()
    is_late = waiting is not None and clock.now() - waiting.created_at > WITNESS_PATIENCE
    return newest if earlier is None or is_late else earlier


def covering(leaf_index: int) -> Checkpoint | None:
    """Return the published checkpoint or, if that is older than the entry, the newest. None if it is, too."""
    for checkpoint in (published(), latest()):
        if checkpoint and checkpoint.size > leaf_index:
            return checkpoint
    return None


def with_cosignatures(checkpoint: Checkpoint) -> str:
    """Return the note with the signature lines of witnesses."""
    lines = Cosignature.objects.filter(size=checkpoint.size).order_by("witness").values_list("line", flat=True)
    return checkpoint.note + "".join(f"{line}\n" for line in lines)


@contextmanager
def durable() -> Iterator[None]:
    """Let the transaction in this context wait for the disk on SQLite, as a published checkpoint must not be undone."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        (before,) = cursor.execute("PRAGMA synchronous").fetchone()
        cursor.execute("PRAGMA synchronous=FULL")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA synchronous={before}")


def size() -> int:
    """Return the size of the newest checkpoint, or 0 before the first entry."""
    return Checkpoint.objects.aggregate(size=Max("size"))["size"] or 0
