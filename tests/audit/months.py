"""A log of several months, small enough for tests."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.core.files.storage import storages
from django.db import transaction
from django.test import override_settings

from audit.database import tables
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.models import Entry
from audit.sequencing import log, sequencer
from audit.services import append
from core.actor import Actor
from tests.audit.segments import shrink_segments
from tests.shared import rows_of_module

SEGMENT = 256
JANUARY, FEBRUARY, MARCH = 202601, 202602, 202603


def use_small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Complete segments after 256 entries, and save the streams at each step."""
    shrink_segments(monkeypatch, SEGMENT)
    monkeypatch.setattr(sequencer, "SAVE_SECONDS", 0.0)


@contextmanager
def two_months(blocker: Any) -> Iterator[None]:
    """Keep a log of two months, with 300 entries each, for the tests of a module. See `rows_of_module`."""
    with pytest.MonkeyPatch.context() as patch, rows_of_module(blocker):
        use_small_segments(patch)
        fill({JANUARY: 300, FEBRUARY: 300})
        yield


@contextmanager
def archive_in(folder: Path, **settings: Any) -> Iterator[Path]:
    """Use a folder as the archive's storage."""
    options = {"BACKEND": "audit.archiving.storage.DurableFiles", "OPTIONS": {"location": folder}}
    with override_settings(STORAGES={**storages.backends, "archive": options}, **settings):
        yield folder


def fill(months: Mapping[int, int]) -> None:
    """Log so many entries in each month."""
    for month, number in months.items():
        write(month, number)


def write(month: int, number: int) -> None:
    start = datetime(month // 100, month % 100, 3, 12, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as moved, mock.patch.object(log, "SETTLE_SECONDS", 0.0):
        for first in range(0, number, 20):
            with transaction.atomic():
                append([draft(place) for place in range(first, min(number, first + 20))])
            moved.shift(timedelta(seconds=1))
        sequencer.sequence()


def draft(place: int) -> Draft:
    """Return one of several kinds: with and without a person, personal data, withheld parts and a connection."""
    service = Actor("service", "res_1", ip="203.0.113.7", user_agent="tests/1.0", request_id="req-12345678")
    user = f"usr_{place % 5}"
    ids: dict[str, Any] = {"user_id": user, "consent_id": f"cns_{place % 5}", "agent_id": "agt_1"}
    if place % 7 == 0:
        return Draft(
            Event.RESOURCE_SERVER_UPDATED, Actor("system"), organization_id="org_2", metadata={"name": "Bücher"}
        )
    if place % 11 == 0:
        return Draft(Event.CONSENT_APPROVED, Actor("user", user, ip="198.51.100.9"), scopes=["books:read"], **ids)
    return Draft(
        Event.TOKEN_VERIFY,
        service,
        outcome=Outcome.DENIED if place % 3 == 0 else Outcome.ALLOWED,
        organization_id="org_1",
        service_organization_ids=["org_2"],
        policy_id="pol_1" if place % 3 == 0 else None,
        policy_organization_id="org_1" if place % 3 == 0 else None,
        resource=f"https://books.example/{place}",
        personal={"amount": {"currency": "EUR", "value": "12.50"}},
        **ids,
    )


def all_rows() -> dict[int, list[Any]]:
    return {entry.leaf_index: tables.comparable(entry) for entry in Entry.objects.all()}
