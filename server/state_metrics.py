"""Metrics that are read from the database and the backups at each scrape, for what no server process counts.

They are the same on every server. If the database does not answer, only that is reported: a wrong number would raise a
false alert.
"""

import math
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.db.models import Min
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from accounts.models import Notice
from audit.condition import lag_seconds
from core import clock
from events import condition
from server.doctor.backup_files import Kind
from server.doctor.backups import find_newest, newest_files
from server.vitals import overdue_seconds
from tokens.keys import find_signing_key


class State(Collector):
    """What a scrape finds."""

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering it does not read the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("agentgate_info", "The version of the server.", labels=["version"])
        info.add_metric([settings.VERSION], 1)
        yield info
        try:
            found = list(_database())
        except (DatabaseError, InterfaceError):
            yield _gauge("agentgate_database_up", "Whether the database answers.", 0)
        else:
            yield _gauge("agentgate_database_up", "Whether the database answers.", 1)
            yield from found
        yield from _backup()


STATE = CollectorRegistry()
STATE.register(State())


def _database() -> Iterator[Metric]:
    now = clock.now()
    yield _gauge("agentgate_journal_age_seconds", "Age of the oldest entry that waits for its number.", lag_seconds())
    yield _gauge("agentgate_overdue_seconds", "How long the oldest expired row has waited.", overdue_seconds(now))
    due_at = Notice.objects.aggregate(due=Min("due_at"))["due"]
    yield _gauge("agentgate_mail_overdue_seconds", "How long the oldest mail to a user is due.", _since(due_at, now))
    yield from _events(condition.look(now))
    key = find_signing_key(now)
    if key:
        age = _since(key.activates_at, now)
        yield _gauge("agentgate_signing_key_age_seconds", "For how long the key has signed tokens.", age)


def _events(found: condition.Condition) -> Iterator[Metric]:
    yield _gauge("agentgate_deliveries_outstanding", "Deliveries of webhooks that are tried again.", found.outstanding)
    late = "How long the first delivery has been due."
    yield _gauge("agentgate_delivery_overdue_seconds", late, found.overdue_seconds)
    yield _gauge(
        "agentgate_unrouted_entries", "Entries of the log that are not routed to webhooks yet.", found.unrouted
    )


def _backup() -> Iterator[Metric]:
    folder: Path | None = settings.BACKUP_DIR
    if folder:
        yield _gauge("agentgate_backup_age_seconds", "Age of the newest backup in BACKUP_DIR.", _backup_age(folder))


def _backup_age(folder: Path) -> float:
    """Return the age in seconds, infinite without a backup or if it is incomplete."""
    try:
        newest = find_newest(newest_files(folder))
        if newest is None or newest[1] is Kind.INCOMPLETE:
            return math.inf
        return max(0.0, time.time() - newest[0].stat().st_mtime)
    except OSError:  # it was deleted meanwhile
        return math.inf


def _since(moment: datetime | None, now: datetime) -> float:
    """Return the seconds since the moment, or 0 if there is none or it is in the future."""
    return max(0.0, (now - moment).total_seconds()) if moment else 0.0


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)
