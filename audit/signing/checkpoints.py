"""Checkpoints: signed statements of the log's size and root."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import zip_longest

from django.conf import settings
from django.db import connection
from django.db.models import Max, Q, Subquery
from django.db.models.functions import Now

from audit.models import Checkpoint, Cosignature
from audit.signing.log_keys import signer
from audit.signing.notes import MAX_SIGNATURES, checkpoint_text
from core import clock

# A checkpoint without a cosignature is published only after this time.
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
    """Return the newest checkpoint that a witness has signed or that has waited for one long enough.

    Without witnesses, return the newest. It is never smaller than one returned before, in any process: a cosignature
    stays, a checkpoint that has waited stays so by the database's clock, and before both the first one is returned.
    """
    if not settings.AUDIT_WITNESSES:
        return latest()
    cosigned = Cosignature.objects.order_by("-size").values("size")[:1]
    has_waited = Q(created_at__lte=Now() - WITNESS_PATIENCE)
    found = Checkpoint.objects.filter(has_waited | Q(size=Subquery(cosigned))).order_by("-size").first()
    return found or Checkpoint.objects.order_by("size").first()


def covering(leaf_index: int) -> Checkpoint | None:
    """Return the published checkpoint or, if that is older than the entry, the newest. None if it is, too."""
    for read in (published, latest):
        checkpoint = read()
        if checkpoint and checkpoint.size > leaf_index:
            return checkpoint
    return None


def with_cosignatures(checkpoint: Checkpoint) -> str:
    """Return the note with the signature lines of witnesses, the first line of each before any second one."""
    texts = Cosignature.objects.filter(size=checkpoint.size).order_by("witness").values_list("line", flat=True)
    rounds = zip_longest(*(text.split("\n") for text in texts))
    lines = [line for one in rounds for line in one if line][: MAX_SIGNATURES - 1]
    return checkpoint.note + "".join(f"{line}\n" for line in lines)


def note_covering(leaf_index: int) -> str | None:
    """Return the note of the checkpoint that `covering` returns, or None."""
    checkpoint = covering(leaf_index)
    return note_of(checkpoint) if checkpoint else None


def note_of(checkpoint: Checkpoint) -> str:
    """Return the note as it is published."""
    return with_cosignatures(checkpoint) if settings.AUDIT_WITNESSES else checkpoint.note


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
