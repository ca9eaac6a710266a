"""When a connection was last used: read at the same cost however long the log is, and wherever the use is written."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.events import Event, Outcome
from audit.models import Entry, Journal, Progress
from audit.readers.waiting import ROWS_PER_READ
from audit.sequencing import sequencer
from audit.services import Draft, append
from consent.models import Consent
from consent.selectors import last_uses_of
from core.actor import SYSTEM
from tests.world import allow, ask, make_agent, make_developer, make_user

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True, params=["journal", "log", "streams"])
def _place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test with the uses in the journal, in the log only, and in the saved streams."""
    seconds = 0.0 if request.param == "streams" else 3600.0
    monkeypatch.setattr(sequencer, "SAVE_SECONDS", seconds)
    monkeypatch.setattr(sequencer.memory, "saved_at", time.monotonic())
    monkeypatch.setattr(f"{__name__}.move", sequencer.sequence if request.param != "journal" else lambda: 0)


def move() -> int:
    """Move the uses to the place of this run."""
    raise NotImplementedError


@pytest.fixture
def agent() -> Any:
    return make_agent(make_developer("dev@example.com", "Acme"))


@pytest.fixture
def ada() -> Any:
    return make_user("ada@example.com")


def log(consent: Consent, event: Event, outcome: Outcome, at: datetime, times: int = 1) -> None:
    append([Draft(event=event, actor=SYSTEM, outcome=outcome, consent_id=consent.id)] * times, at=at)
    move()


def verify(consent: Consent, outcome: Outcome, at: datetime, times: int = 1) -> None:
    log(consent, Event.TOKEN_VERIFY, outcome, at, times)


def test_a_connection_that_was_never_allowed_a_request_is_left_out(agent: Any, ada: Any) -> None:
    consent = allow(ask(agent), ada)
    verify(consent, Outcome.DENIED, NOON)
    log(consent, Event.TOKEN_INTROSPECTED, Outcome.ALLOWED, NOON)
    assert last_uses_of([consent]) == {}


def test_the_newest_allowed_request_counts_not_later_denials(agent: Any, ada: Any) -> None:
    consent = allow(ask(agent), ada)
    for hours, outcome in enumerate([Outcome.ALLOWED, Outcome.ALLOWED, Outcome.DENIED]):
        verify(consent, outcome, NOON + timedelta(hours=hours))
    assert last_uses_of([consent]) == {consent.id: NOON + timedelta(hours=1)}


def test_uses_of_replaced_consents_count_for_the_connection(agent: Any, ada: Any) -> None:
    consents = []
    for hours in range(3):
        consents.append(allow(ask(agent), ada))
        verify(consents[-1], Outcome.ALLOWED, NOON + timedelta(hours=-hours))
    unused = allow(ask(agent), ada)
    assert last_uses_of([unused]) == {unused.id: NOON}
    assert last_uses_of([consents[1], unused]) == {consents[1].id: NOON + timedelta(hours=-1), unused.id: NOON}


def test_all_connections_of_a_page_are_read_by_the_same_queries(ada: Any, django_assert_num_queries: Any) -> None:
    developer = make_developer("dev@example.com", "Acme")
    consents = [allow(ask(make_agent(developer, name=f"Agent {number}")), ada) for number in range(5)]
    for consent in consents:
        verify(consent, Outcome.ALLOWED, NOON)
    reads = -(-Journal.objects.count() // ROWS_PER_READ)
    with django_assert_num_queries(5 + reads):
        assert last_uses_of(consents) == dict.fromkeys([consent.id for consent in consents], NOON)


def test_an_older_use_that_is_copied_later_changes_nothing(agent: Any, ada: Any) -> None:
    consent = allow(ask(agent), ada)
    verify(consent, Outcome.ALLOWED, NOON)
    verify(consent, Outcome.ALLOWED, NOON - timedelta(hours=1))
    assert last_uses_of([consent]) == {consent.id: NOON}


def test_of_the_log_only_what_the_streams_do_not_count_is_read(agent: Any, ada: Any) -> None:
    """Otherwise a client that is denied in a loop makes its user's pages slow."""
    consent = allow(ask(agent), ada)
    verify(consent, Outcome.ALLOWED, NOON)
    saved = Progress.objects.filter(pk=1).values_list("streams_size", flat=True).first() or 0
    with CaptureQueriesContext(connection) as captured:
        assert last_uses_of([consent]) == {consent.id: NOON}
    (query,) = [query["sql"] for query in captured.captured_queries if "audit_entry" in query["sql"]]
    assert f'"leaf_index" >= {saved}' in query
    assert saved == (Entry.objects.count() if sequencer.SAVE_SECONDS == 0 else 0)
