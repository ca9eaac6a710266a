"""The audit log: insert-only tables. Only the personal data of an entry can be erased.

Entries refer to users, agents and consents by id, never by foreign key, so deleting a user cannot delete evidence.
"""

import json
from typing import Any, ClassVar, NamedTuple

from django.db import models, transaction

from core.fields import ExactCharField
from core.ids import PrefixedIdField


class ImmutableError(Exception):
    """Code tried to change or delete part of the audit log."""


class InsertOnlyQuerySet(models.QuerySet[Any]):
    """Allows only INSERT and SELECT. Database triggers enforce the same for all other access."""

    def update(self, **kwargs: Any) -> int:
        raise ImmutableError("the audit log is insert-only")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise ImmutableError("the audit log is insert-only")


class Erasure(NamedTuple):
    """How many entries an erasure of personal data has reached, and how many rows it has not."""

    entries: int
    damaged_rows: int
    """Rows that stay in the journal. They may contain data that should be erased (docs/operations.md)."""


class EntryQuerySet(InsertOnlyQuerySet):
    def erase_personal_data(self) -> Erasure:
        """Erase the personal data of the entries, also of those in the journal, except for its damaged rows."""
        from audit.sequencer import catch_up, count_damaged  # imports this module

        with transaction.atomic():
            catch_up()  # data that is copied later would come back
            return Erasure(models.QuerySet.update(self, salt=None, personal_data=None), count_damaged())

    erase_personal_data.queryset_only = True  # type: ignore[attr-defined]  # the manager must not erase everything


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
    """An event. `body` is the evidence, as canonical JSON. It contains SHA-256(salt ‖ personal data).

    IP addresses, user agents and resources are personal data. They and the salt are null once they were erased. The
    other columns exist for filters. The organizations concerned are in `body` and, for their listings, in `Concern`.
    """

    id = PrefixedIdField(prefix="log")
    timestamp = models.DateTimeField()
    event = models.CharField(max_length=64)
    outcome = models.CharField(max_length=8)
    user_id = ExactCharField(max_length=64, null=True)
    agent_id = ExactCharField(max_length=64, null=True)
    consent_id = ExactCharField(max_length=64, null=True)
    body = models.TextField()
    salt = models.BinaryField(max_length=32, null=True)
    personal_data = models.TextField(null=True)

    objects: ClassVar[Any] = EntryQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "entries"
        indexes = [models.Index(fields=["user_id", "id"])]

    def __str__(self) -> str:
        return f"{self.id} {self.event}"

    @property
    def content(self) -> dict[str, Any]:
        """Return `body`, parsed."""
        content: dict[str, Any] = json.loads(self.body)
        return content

    @property
    def personal(self) -> dict[str, Any]:
        """Return the personal data, parsed. It is empty if it was erased."""
        personal: dict[str, Any] = json.loads(self.personal_data or "{}")
        return personal

    @property
    def organization_ids(self) -> list[str]:
        """Return the organizations whose log contains the entry, first the one that acted or whose agent acted."""
        content = self.content
        found = [content["organizationId"], *content["serviceOrganizationIds"]]
        return list(dict.fromkeys(organization_id for organization_id in found if organization_id))


class Concern(InsertOnly):
    """An entry in an organization's log. It can be in several: the agent's and the asking service's."""

    pk = models.CompositePrimaryKey("organization_id", "entry_id")
    organization_id = ExactCharField(max_length=64)
    # The primary key serves the listings, and no query goes from an entry to its organizations.
    entry = models.ForeignKey(
        Entry, on_delete=models.DO_NOTHING, related_name="concerns", db_constraint=False, db_index=False
    )

    def __str__(self) -> str:
        return f"{self.organization_id} {self.entry_id}"


class LastUse(models.Model):
    """When a verify was last allowed under a consent.

    It repeats the log, and is written with it. An index that finds it there would cost each entry more: the entries of
    one moment belong to many consents, so each changes another page.
    """

    consent_id = ExactCharField(max_length=64, primary_key=True)
    used_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.consent_id} {self.used_at}"


class Journal(InsertOnly):
    """Entries of decisions on their way into the log: one row per batch, in the format of `audit.journal`.

    The sequencer deletes rows in the transaction that copies them. Nothing else may, except an operator who erases the
    personal data in a damaged row (docs/operations.md).
    """

    id = models.BigAutoField(primary_key=True)
    body = models.BinaryField()

    class Meta:
        verbose_name_plural = "journal"

    def __str__(self) -> str:
        return str(self.id)
