"""Metrics that are read at each scrape."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import OperationalError
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from accounts.models import Notice
from audit.entries.drafts import Draft
from audit.events import Event
from audit.sequencing.sequencer import sequence
from consent.models import Consent
from core import clock
from developers.models import Developer, Organization
from server.doctor.backup_files import Kind
from server.state_metrics import STATE
from tests.audit.journals import ACTOR, write_drafts
from tests.events.webhooks import queue
from tests.world import ask, make_agent, make_developer, make_grant, make_user
from tokens.keys import current_key
from tokens.services import KEEP_EXPIRED

HOUR = timedelta(hours=1)


def scraped() -> dict[str, float]:
    """Return each value by the metric's name, without our prefix."""
    families = text_string_to_metric_families(generate_latest(STATE).decode())
    return {each.name.removeprefix("agentgate_"): each.value for family in families for each in family.samples}


def test_in_a_new_database_nothing_is_late(db: None) -> None:
    assert scraped() == {
        "info": 1,
        "database_up": 1,
        "journal_age_seconds": 0,
        "overdue_seconds": 0,
        "mail_overdue_seconds": 0,
        "deliveries_outstanding": 0,
        "delivery_overdue_seconds": 0,
        "unrouted_entries": 0,
    }


def test_ages_grow_with_time(db: None, settings: Any) -> None:
    current_key()
    now = clock.now()
    Notice.objects.create(user=make_user("ada@example.com"), name="x", facts={}, created_at=now, due_at=now)
    make_grant(email="ben@example.com")
    with time_machine.travel(now + HOUR, tick=False):
        found = scraped()
    for name in ("journal_age_seconds", "mail_overdue_seconds", "signing_key_age_seconds"):
        assert found[name] == pytest.approx(3600, abs=10), name
    with time_machine.travel(now + settings.ACCESS_TOKEN_LIFETIME + KEEP_EXPIRED + HOUR, tick=False):
        assert scraped()["overdue_seconds"] == pytest.approx(3600, abs=10)


def test_events_that_no_worker_sends_are_overdue(developer: Developer) -> None:
    webhook = queue(developer)
    write_drafts([Draft(event=Event.AGENT_UPDATED, actor=ACTOR)] * 2)
    sequence()
    with time_machine.travel(clock.now() + HOUR, tick=False):
        found = scraped()
        assert found["delivery_overdue_seconds"] == pytest.approx(3600, abs=10)
        assert (found["deliveries_outstanding"], found["unrouted_entries"]) == (1, 2)
        for column in ("suspended_at", "deletes_at"):
            organizations = Organization.objects.filter(pk=webhook.organization_id)
            organizations.update(**{"suspended_at": None, "deletes_at": None, column: clock.now()})
            assert scraped()["delivery_overdue_seconds"] == 0


def test_a_request_for_consent_that_was_not_ended_is_overdue(db: None) -> None:
    ask(make_agent(make_developer("ada@example.com")))
    Consent.objects.update(expires_at=clock.now() - HOUR)
    assert scraped()["overdue_seconds"] == pytest.approx(3600, abs=10)


def test_without_the_database_only_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> float:
        raise OperationalError("gone")

    monkeypatch.setattr("server.state_metrics.lag_seconds", fail)
    assert scraped() == {"info": 1, "database_up": 0}


def test_the_age_of_the_newest_backup(db: None, settings: Any, tmp_path: Path, monkeypatch: Any) -> None:
    settings.BACKUP_DIR = tmp_path / "none"
    assert scraped()["backup_age_seconds"] == float("inf")
    settings.BACKUP_DIR = tmp_path
    (tmp_path / "notes.txt").write_text("Not a backup.")
    assert scraped()["backup_age_seconds"] == float("inf")
    monkeypatch.setattr("server.doctor.backups.kind_of", lambda file: Kind(file.stem))
    (tmp_path / "backup.dump").touch()
    at = (clock.now() - HOUR).timestamp()
    os.utime(tmp_path / "backup.dump", (at, at))
    (tmp_path / "notes.txt").unlink()
    assert scraped()["backup_age_seconds"] == pytest.approx(3600, abs=10)
    (tmp_path / "incomplete.dump").touch()
    assert scraped()["backup_age_seconds"] == float("inf")
