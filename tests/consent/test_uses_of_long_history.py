"""The uses of a connection with 300,000 entries in the log are read as fast as those of one with few."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection

from audit.database import tables
from audit.models import Entry, Progress, Stream
from consent.models import Consent
from consent.usage import usage_of
from tests.world import allow, ask, make_agent, make_developer, make_user

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENTRIES = 300_000
COLUMNS = "leaf_index, timestamp, month, id, event, outcome, consent_id, organizations, record, opening"
POSTGRESQL = f"""
    INSERT INTO audit_entry ({COLUMNS})
    SELECT n, %s, 202603, lpad(to_hex(n), 32, '0')::uuid, 'token.verify', 'allowed', %s, '', '', ''
    FROM generate_series(0, {ENTRIES - 1}) AS n
"""
SQLITE = f"""
    WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers LIMIT {ENTRIES})
    INSERT INTO audit_entry ({COLUMNS})
    SELECT n, %s, 202603, CAST(printf('%%016d', n) AS BLOB), 'token.verify', 'allowed', %s, '', '', '' FROM numbers
"""


def fill(consent: Consent) -> None:
    """Log many uses of the consent, and save its head."""
    tables.add_month(202603)
    statement = POSTGRESQL if connection.vendor == "postgresql" else SQLITE
    with connection.cursor() as cursor:
        cursor.execute(statement, [connection.ops.adapt_datetimefield_value(NOON), consent.id])
        cursor.execute("ANALYZE audit_entry")  # as a database does on its own
    uses = f'{{"email:read":[{ENTRIES},"{NOON.isoformat()}"]}}'
    totals = {"number": ENTRIES, "allowed": ENTRIES, "denied": 0, "spent": "{}"}
    Stream.objects.create(id=consent.id, **totals, used_at=NOON, uses=uses)
    Progress.objects.update_or_create(id=1, defaults={"streams_size": ENTRIES})


def fastest(consent: Consent) -> float:
    """Return the seconds that the fastest of several reads takes."""
    times = []
    for _ in range(9):
        began = time.perf_counter()
        usage_of([consent], NOON)
        times.append(time.perf_counter() - began)
    return min(times)


def test_many_entries_do_not_slow_it(store: str) -> None:
    consent: Any = allow(ask(make_agent(make_developer("dev@example.com"))), make_user("ada@example.com"))
    before = fastest(consent)
    fill(consent)
    assert Entry.objects.count() == ENTRIES
    assert usage_of([consent], NOON)[consent.id].uses.scopes["email:read"].number == ENTRIES
    assert fastest(consent) < 3 * before + 0.005
