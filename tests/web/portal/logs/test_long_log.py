"""Pages that read the log need few queries, however many segments and months it has."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.test import Client

from accounts.models import User
from audit.archiving import archived
from audit.archiving.archive import archive_month
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.models import Entry, Segment
from audit.selectors import Filters, entries_for_user
from audit.sequencing import log, sequencer
from audit.services import append
from consent.models import Consent
from core.actor import Actor
from tests.audit.months import FEBRUARY, JANUARY, archive_in
from tests.audit.segments import shrink_segments
from tests.shared import cases

MOST_QUERIES = 12
SEGMENT = 4
PER_DAY = 14
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAYS = {JANUARY: 31, FEBRUARY: 28}
# One day whose ends are inside of segments, one that is archived, and one before the log.
WINDOWS = [
    {"since": "2026-02-11", "until": "2026-02-12"},
    {"since": "2026-01-05", "until": "2026-01-06"},
    {"until": "2025-12-31"},
]
FILTERS: list[dict[str, str]] = [
    {},
    {"outcome": "allowed"},
    {"outcome": "denied"},
    {"kind": "decisions"},
    {"q": "mail"},
    {"since": "2026-01-10"},
    {"until": "2026-02-10"},
    *WINDOWS,
]


@pytest.fixture(autouse=True)
def _small_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    shrink_segments(monkeypatch, SEGMENT)
    monkeypatch.setattr(log, "SETTLE_SECONDS", 0.0)  # of the months, which tests move
    monkeypatch.setattr(sequencer, "SAVE_SECONDS", 0.0)  # a month whose streams are not saved cannot be archived
    sequencer.forget()
    archived.forget()
    with archive_in(tmp_path / "archive"), time_machine.travel(NOW):
        yield


@pytest.fixture
def long_log(granted: Consent) -> Consent:
    """Write the log of two months, in hundreds of segments. January is in the archive."""
    for month, days in DAYS.items():
        start = datetime(month // 100, month % 100, 1, 9, tzinfo=UTC)
        for day in range(days):
            with time_machine.travel(start + timedelta(days=day)), transaction.atomic():
                append([_draft(granted, place) for place in range(PER_DAY)])
        with time_machine.travel(start + timedelta(days=days - 1, hours=1)):
            sequencer.sequence()
    sequencer.sequence()
    assert Segment.objects.count() > 200
    archive_month(JANUARY)
    archived.forget()
    assert Entry.objects.count() < Segment.objects.count() * SEGMENT / 1.5
    return granted


def _draft(consent: Consent, place: int) -> Draft:
    """Return a request. Every fifth was denied by a policy, and every seventh came from an agent that is gone."""
    is_denied = place % 5 == 0
    return Draft(
        Event.TOKEN_VERIFY,
        Actor("service", "res_1"),
        outcome=Outcome.DENIED if is_denied else Outcome.ALLOWED,
        organization_id=consent.organization_id,
        user_id=consent.user_id,
        agent_id=consent.agent_id if place % 7 else "agt_" + "0" * 32,
        consent_id=consent.id if place % 7 else None,
        action="email:send",
        scopes=["email:send", "acme:unknown"],
        policy_id="pol_1" if is_denied else None,
        policy_organization_id=consent.organization_id if is_denied else None,
        personal={"resource": f"https://mail.example/{place}"},
    )


def test_lists_and_entries_need_few_queries(
    long_log: Consent, ada: User, as_ada: Client, django_assert_max_num_queries: Any
) -> None:
    as_ada.get("/activity")  # records the session's use
    cursors = ["", *_cursors(ada)]
    queries = [*FILTERS, *({"cursor": cursor, "outcome": "denied"} for cursor in cursors)]
    queries += [{**chosen, "agent": long_log.agent_id} for chosen in FILTERS[:4]]
    paths = ["/connections", "/approvals", "/account/sessions"]
    visits = [("/activity", query) for query in queries] + [(path, {}) for path in paths]
    visits += [(f"/activity/{cursor}", {}) for cursor in cursors if cursor]
    for path, query in visits:
        with django_assert_max_num_queries(MOST_QUERIES, info=f"{path} {query}"):
            assert as_ada.get(path, query).status_code == 200, (path, query)


@cases("window", WINDOWS[:2])
def test_a_window_in_a_long_log_has_its_entries(long_log: Consent, ada: User, window: dict[str, str]) -> None:
    since = datetime.fromisoformat(window["since"]).replace(tzinfo=UTC)
    filters = Filters(since=since, until=since + timedelta(days=2), outcome=Outcome.DENIED)
    assert len(list(entries_for_user(ada.id, filters))) == 2 * len(range(0, PER_DAY, 5))


def _cursors(user: User) -> list[str]:
    """Return an entry of each month."""
    entries = list(entries_for_user(user.id))
    return [entries[len(entries) // 4].id, entries[3 * len(entries) // 4].id]
