"""The audit log: a journal, the log with its Merkle tree and checkpoints, and an index for its readers.

`Journal`, `Entry`, `Tile` and `Checkpoint` are insert-only. Entries refer to users, agents and consents by id, never by
foreign key, so deleting a user cannot delete evidence. `Stream`, `Segment` and `Posting` repeat what the entries say,
in the order in which readers look for it. The tables of entries and postings are created by SQL (`schema.py`).
"""

from functools import cached_property
from typing import Any, ClassVar

import orjson
from django.db import models
from django.db.models.functions import Now

from audit.entries.facets import Facets, facets_of
from audit.entries.packing import unpack
from audit.entries.records import decode_opening
from audit.fields import CompactIdField
from audit.signing.notes import verifier_key
from core.fields import ExactCharField


class ImmutableError(Exception):
    """Code tried to change or delete part of the audit log."""


class InsertOnlyQuerySet(models.QuerySet[Any]):
    """Allows only INSERT and SELECT. Database triggers enforce the same for all other access."""

    def update(self, **kwargs: Any) -> int:
        raise ImmutableError("the audit log is insert-only")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise ImmutableError("the audit log is insert-only")


class InsertOnly(models.Model):
    objects = InsertOnlyQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise ImmutableError("the audit log is insert-only")
        super().save(*args, **{**kwargs, "force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise ImmutableError("the audit log is insert-only")


class Entry(InsertOnly):
    """An event, with its place in the tree (`leaf_index`).

    `record` is the evidence: canonical JSON, compressed. `opening` has what the streams' commitments open to, and the
    withheld parts. `sealed` is personal data, encrypted under the key of `subject` (`personal_keys.py`). The other
    columns repeat parts of the record for filters. `organizations` are ids, each followed by a space.
    """

    id = CompactIdField(prefix="log")
    leaf_index = models.BigIntegerField(unique=True)
    month = models.IntegerField()
    timestamp = models.DateTimeField()
    event = models.CharField(max_length=64)
    outcome = models.CharField(max_length=8)
    user_id = ExactCharField(max_length=64, null=True)
    agent_id = ExactCharField(max_length=64, null=True)
    consent_id = ExactCharField(max_length=64, null=True)
    organizations = models.TextField()
    record = models.BinaryField()
    opening = models.BinaryField()
    sealed = models.BinaryField(null=True)

    objects: ClassVar[Any] = InsertOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["-leaf_index"]
        verbose_name_plural = "entries"

    def __str__(self) -> str:
        return f"{self.id} {self.event}"

    @cached_property
    def body(self) -> bytes:
        """Return the record as canonical JSON."""
        return unpack(self.record)

    @cached_property
    def content(self) -> dict[str, Any]:
        """Return the record, parsed."""
        content: dict[str, Any] = orjson.loads(self.body)
        return content

    @property
    def scopes(self) -> list[str]:
        scopes: list[str] = self.content["scopes"]
        return scopes

    @cached_property
    def facets(self) -> Facets:
        """Return what readers filter by, besides the columns. Raises `ValueError` if the columns were damaged."""
        return facets_of(self.content, decode_opening(self.opening)[0].withheld)

    @property
    def organization_ids(self) -> list[str]:
        """Return the organizations whose log contains the entry, first the one that acted or whose agent acted."""
        return self.organizations.split()


class Journal(InsertOnly):
    """Drafts of entries on their way into the log: one row per batch, in the format of `audit.entries.journal`.

    The sequencer deletes rows in the transaction that logs them. Nothing else may, except an operator who deletes a
    damaged row (docs/operations.md).
    """

    id = models.BigAutoField(primary_key=True)
    body = models.BinaryField()
    written_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "journal"

    def __str__(self) -> str:
        return str(self.id)


class Tile(InsertOnly):
    """256 hashes of a level of the Merkle tree (C2SP tlog-tiles), and their root. Only full tiles are stored."""

    pk = models.CompositePrimaryKey("level", "number")
    level = models.SmallIntegerField()
    number = models.BigIntegerField()
    hashes = models.BinaryField()
    root = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.level}/{self.number}"


class Checkpoint(InsertOnly):
    """A signed statement of the tree's size and root (C2SP tlog-checkpoint), without cosignatures."""

    size = models.BigIntegerField(primary_key=True)
    created_at = models.DateTimeField()
    note = models.TextField()

    class Meta:
        ordering = ["-size"]

    def __str__(self) -> str:
        return str(self.size)


class Cosignature(models.Model):
    """A witness's signature line under a checkpoint (C2SP tlog-cosignature)."""

    pk = models.CompositePrimaryKey("size", "witness")
    size = models.BigIntegerField()
    witness = models.CharField(max_length=255)
    line = models.TextField()

    def __str__(self) -> str:
        return f"{self.witness} {self.size}"


class WitnessFailure(models.Model):
    """Why a witness has not signed the newest checkpoint. There is no row for a witness that has.

    `is_refusal` is false if it cannot be reached or has an error of its own.
    """

    witness = ExactCharField(max_length=255, primary_key=True)
    is_refusal = models.BooleanField()
    reason = models.TextField()
    since = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.witness)


class Stream(models.Model):
    """The length and the running totals of a stream: of an organization, a person or a connection.

    They are those of an earlier size of the log (`Progress`). The entries after it have newer ones in `opening`.
    `used_at` is when a verify was last allowed; `uses` has, by scope, how often and when one that required it was.
    """

    id = ExactCharField(max_length=64, primary_key=True)
    number = models.BigIntegerField()
    allowed = models.BigIntegerField()
    denied = models.BigIntegerField()
    spent = models.TextField()
    used_at = models.DateTimeField(null=True)
    uses = models.TextField(default="{}")

    def __str__(self) -> str:
        return f"{self.id} {self.number}"


class Progress(models.Model):
    """One row: up to which size the streams are saved."""

    id = models.SmallIntegerField(primary_key=True)
    streams_size = models.BigIntegerField()

    def __str__(self) -> str:
        return str(self.streams_size)


class Segment(models.Model):
    """A stretch of the log that has postings (`audit.sequencing.postings`), with the timestamps of its entries."""

    number = models.IntegerField(primary_key=True)
    earliest = models.DateTimeField()
    latest = models.DateTimeField()
    timestamps = models.BinaryField()

    def __str__(self) -> str:
        return str(self.number)


class Posting(models.Model):
    """Which entries of a segment have a term, such as a user, an event or an outcome (`audit.sequencing.postings`)."""

    pk = models.CompositePrimaryKey("term", "segment")
    term = models.BigIntegerField()
    segment = models.IntegerField()
    entries = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.term} {self.segment}"


class LogKey(models.Model):
    """The key pair that signs checkpoints and receipts, one per `JWT_SECRET`, which encrypts the private key."""

    secret_id = ExactCharField(max_length=32, primary_key=True)
    origin = models.CharField(max_length=255)
    public = models.BinaryField()
    private_sealed = models.BinaryField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.origin)

    @property
    def verifier_key(self) -> str:
        return verifier_key(self.origin, bytes(self.public))


class PersonalKey(models.Model):
    """The key for the personal data of a subject (`audit.entries.subjects`). None once it is destroyed.

    A subject has one per `JWT_SECRET` that has encrypted keys. `month`, such as 202611, is None for people, whose keys
    do not grow old.
    """

    pk = models.CompositePrimaryKey("subject", "secret_id")
    subject = ExactCharField(max_length=80)
    secret_id = ExactCharField(max_length=32)
    month = models.IntegerField(null=True)
    sealed = models.BinaryField(null=True)
    created_at = models.DateTimeField()
    destroyed_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["month"], condition=models.Q(destroyed_at=None), name="audit_keys_growing_old_idx")
        ]

    def __str__(self) -> str:
        return str(self.subject)


class Archive(models.Model):
    """A month of the log on its way into the archive (`audit.archiving.archive`).

    `checkpoint` is the size of the checkpoint in the archive, `manifest` the SHA-256 of the manifest. Entries of a
    verified month can be read from the archive, those of a pruned one only from there.
    """

    class State(models.TextChoices):
        WRITING = "writing"
        WRITTEN = "written"
        VERIFIED = "verified"
        PRUNED = "pruned"

    month = models.IntegerField(primary_key=True)
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    checkpoint = models.BigIntegerField()
    state = models.CharField(max_length=8, choices=State)
    manifest = models.CharField(max_length=64, blank=True)
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["month"]

    def __str__(self) -> str:
        return f"{self.month} {self.state}"


class ArchivedObject(models.Model):
    """A stretch of a month's entries in the archive. `lowest` and `highest` are their least and greatest ids.

    Ids are ordered by time, so few objects can have a given id.
    """

    first = models.BigIntegerField(primary_key=True)
    last = models.BigIntegerField()
    month = models.IntegerField()
    lowest = models.UUIDField()
    highest = models.UUIDField()
    size = models.IntegerField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ["first"]

    def __str__(self) -> str:
        return f"{self.month} {self.first}"
