"""Roll-ups: how many entries of the log there are of each kind, by hour and by day.

They repeat what the log says, so losing them loses nothing: `./dev manage rebuild_rollups` counts again. They name no
person.
"""

from typing import ClassVar

from django.db import models

from core.fields import ExactCharField


class Kind(models.TextChoices):
    """What is counted. `insights.counting` says what the values are."""

    DECISION = "decision"
    AGENT = "agent"
    SCOPE = "scope"
    RULE = "rule"
    DENIAL = "denial"
    CONSENT = "consent"
    ASKED = "asked"
    DECLINED = "declined"
    ROWS = "rows"


class Unit(models.TextChoices):
    """The length of the time that a row counts. Days are those of UTC."""

    HOUR = "hour"
    DAY = "day"


class RollUp(models.Model):
    """How often a value occurred in the log of an organization in an hour or a day that begins at `start`.

    The row without `agent_id` has all agents, and entries without one. Rows of different editions must not be added.
    """

    pk = models.CompositePrimaryKey("edition", "organization_id", "agent_id", "kind", "unit", "start", "value")
    edition = models.IntegerField()
    organization_id = ExactCharField(max_length=64)
    agent_id = ExactCharField(max_length=64, blank=True)
    kind = ExactCharField(max_length=8, choices=Kind)
    unit = ExactCharField(max_length=4, choices=Unit)
    start = models.DateTimeField()
    value = ExactCharField(max_length=300)
    number = models.BigIntegerField()

    class Meta:
        # The index of the key has the number, too. A migration for which Django remakes the table on SQLite has to call
        # `keep_numbers_with_keys` of migration 0002 again.
        # Rows are deleted once they are old.
        indexes: ClassVar = [models.Index(fields=["unit", "start"], name="insights_growing_old_idx")]

    def __str__(self) -> str:
        return f"{self.organization_id} {self.kind} {self.value} {self.start:%Y-%m-%dT%HZ}: {self.number}"


class Edition(models.Model):
    """A count of the whole log. It is complete up to the index `counted`, exclusive, whose last entry is of `last_at`.

    One is in use. Another one is being made by `rebuild_rollups`, and then takes its place.
    """

    id = models.IntegerField(primary_key=True)
    counted = models.BigIntegerField(default=0)
    last_at = models.DateTimeField(null=True)
    is_used = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["is_used"], condition=models.Q(is_used=True), name="insights_one_edition_is_used"
            )
        ]

    def __str__(self) -> str:
        return f"{self.id}: {self.counted}"
