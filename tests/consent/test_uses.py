"""The uses of a connection: read at the same cost however long the log is, and wherever the use is written."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.erasure import erase_user
from audit.events import Event, Outcome
from audit.models import Entry, Journal, Progress, Stream
from audit.readers import uses
from audit.readers.uses import ScopeUse
from audit.readers.waiting import FIRST_READ
from audit.sequencing import sequencer
from audit.sequencing.streams import decode_uses
from audit.services import Draft, append
from consent.models import Consent
from consent.services import revoke_consent
from consent.usage import usage_of
from core import clock
from core.actor import SYSTEM
from developers.models import Developer
from tests.constants import MOMENT
from tests.shared import cases
from tests.world import allow, as_user, ask, make_agent

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


def log(consent: Consent, event: Event, outcome: Outcome, at: datetime, scopes: Sequence[str] = ()) -> None:
    append([Draft(event=event, actor=SYSTEM, outcome=outcome, consent_id=consent.id, scopes=scopes)], at=at)
    move()


def verify(consent: Consent, outcome: Outcome, at: datetime, *scopes: str) -> None:
    log(consent, Event.TOKEN_VERIFY, outcome, at, scopes)


def uses_by_scope(consent: Consent) -> dict[str, ScopeUse]:
    return dict(usage_of([consent], NOON)[consent.id].uses.scopes)


def last_uses_of(consents: list[Consent]) -> dict[str, Any]:
    return {one: found.uses.last_at for one, found in usage_of(consents, NOON).items() if found.uses.last_at}


def suggested(consent: Consent, at: datetime) -> list[str]:
    consent = Consent.objects.select_related("agent").get(pk=consent.pk)
    return list(usage_of([consent], at)[consent.id].suggested_removals)


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


@pytest.mark.postgresql
def test_all_connections_of_a_page_are_read_by_the_same_queries(
    developer: Developer, ada: Any, django_assert_num_queries: Any
) -> None:
    consents = [allow(ask(make_agent(developer, name=f"Agent {number}")), ada) for number in range(5)]
    for consent in consents:
        verify(consent, Outcome.ALLOWED, NOON)
    reads = 2 if Journal.objects.count() >= FIRST_READ else 1
    with django_assert_num_queries(3 + reads):
        assert last_uses_of(consents) == dict.fromkeys([consent.id for consent in consents], NOON)


def test_an_older_use_that_is_copied_later_changes_nothing(agent: Any, ada: Any) -> None:
    consent = allow(ask(agent), ada)
    verify(consent, Outcome.ALLOWED, NOON)
    verify(consent, Outcome.ALLOWED, NOON - timedelta(hours=1))
    assert last_uses_of([consent]) == {consent.id: NOON}


@pytest.mark.postgresql
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


# Uses by scope


def test_allowed_requests_count_for_each_scope_that_they_require(agent: Any, ada: Any) -> None:
    consent = allow(ask(agent), ada)
    verify(consent, Outcome.ALLOWED, NOON, "email:read", "email:send", "email:read")
    verify(consent, Outcome.ALLOWED, NOON - timedelta(hours=1), "email:send")
    verify(consent, Outcome.ALLOWED, NOON + timedelta(hours=1), "email:read")
    verify(consent, Outcome.DENIED, NOON + timedelta(hours=2), "email:read")
    log(consent, Event.TOKEN_INTROSPECTED, Outcome.ALLOWED, NOON + timedelta(hours=2), ["email:read"])
    expected = {"email:read": ScopeUse(2, NOON + timedelta(hours=1)), "email:send": ScopeUse(2, NOON)}
    assert uses_by_scope(consent) == expected


@pytest.mark.postgresql
def test_uses_by_scope_of_replaced_consents_are_added(agent: Any, ada: Any) -> None:
    first = allow(ask(agent), ada)
    verify(first, Outcome.ALLOWED, NOON, "email:read", "email:send")
    second = allow(ask(agent), ada)
    verify(second, Outcome.ALLOWED, NOON + timedelta(hours=1), "email:read")
    latest = allow(ask(agent), ada)
    expected = {"email:read": ScopeUse(2, NOON + timedelta(hours=1)), "email:send": ScopeUse(1, NOON)}
    assert uses_by_scope(latest) == expected
    assert uses_by_scope(second) == {"email:read": ScopeUse(1, NOON + timedelta(hours=1))}


@pytest.mark.postgresql
@cases("step", ["_saved", "_waiting", "_unsaved"])
def test_a_use_that_is_moved_while_it_is_read_counts_once(
    agent: Any, ada: Any, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each read in turn, everything is moved as far as it goes: into the log and into the heads."""
    consent = allow(ask(agent), ada)
    for _ in range(3):
        verify(consent, Outcome.ALLOWED, NOON, "email:read")
    read = getattr(uses, step)

    def read_late(*given: Any) -> Any:
        monkeypatch.setattr(sequencer, "SAVE_SECONDS", 0.0)
        sequencer.sequence()
        return read(*given)

    monkeypatch.setattr(uses, step, read_late)
    found = usage_of([consent], NOON)[consent.id]
    assert found.uses.scopes == {"email:read": ScopeUse(3, NOON)}


def test_the_uses_of_so_many_scopes_are_counted(agent: Any, ada: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not counted is not suggested for removal."""
    monkeypatch.setattr("audit.sequencing.streams.MAX_SCOPES", 2)
    monkeypatch.setattr("audit.readers.uses.MAX_SCOPES", 2)
    consent = allow(ask(agent, scopes=["email:read", "email:send", "profile:read"]), ada)
    assert suggested(consent, NOON) == []
    later = consent.decided_at + timedelta(days=30)
    Consent.objects.update(expires_at=later + timedelta(days=1))
    assert suggested(consent, later) == ["email:read", "email:send", "profile:read"]
    for scope in consent.granted_scopes:
        verify(consent, Outcome.ALLOWED, later, scope)
    saved = Stream.objects.filter(pk=consent.id).first()
    assert saved is None or len(decode_uses(saved.uses)) == 2 or sequencer.SAVE_SECONDS
    assert suggested(consent, later + timedelta(hours=1)) == []


# Suggestions


def test_scopes_that_were_granted_and_unused_for_30_days_are_suggested(agent: Any, ada: Any) -> None:
    consent = allow(ask(agent), ada)
    decided = consent.decided_at
    Consent.objects.update(expires_at=decided + timedelta(days=90))
    assert suggested(consent, decided + timedelta(days=30) - MOMENT) == []
    assert suggested(consent, decided + timedelta(days=30)) == ["email:read", "email:send"]
    verify(consent, Outcome.ALLOWED, decided + timedelta(days=10), "email:send")
    assert suggested(consent, decided + timedelta(days=40) - MOMENT) == ["email:read"]
    assert suggested(consent, decided + timedelta(days=40)) == ["email:read", "email:send"]


def test_a_scope_counts_as_granted_since_the_first_consent_that_had_it_without_interruption(
    agent: Any, ada: Any
) -> None:
    start = clock.now()
    with time_machine.travel(start, tick=False) as time_of_day:
        allow(ask(agent, scopes=["email:read", "email:send"]), ada)
        time_of_day.shift(timedelta(days=10))
        latest = allow(ask(agent, scopes=["profile:read"]), ada)
    Consent.objects.update(expires_at=start + timedelta(days=90))
    assert suggested(latest, start + timedelta(days=30)) == ["email:read", "email:send"]
    assert suggested(latest, start + timedelta(days=40)) == ["profile:read", "email:read", "email:send"]


def test_nothing_is_suggested_for_a_consent_that_is_not_live(agent: Any, ada: Any) -> None:
    consent = allow(ask(agent), ada)
    after = consent.decided_at + timedelta(days=100)
    assert suggested(consent, after) == []
    Consent.objects.update(expires_at=after + timedelta(days=1))
    latest = allow(ask(agent), ada)
    Consent.objects.update(expires_at=after + timedelta(days=1))
    assert suggested(consent, after) == []
    assert suggested(latest, after) == ["email:read", "email:send"]
    revoke_consent(actor=as_user(ada), consent=latest)
    assert suggested(latest, after) == []


def test_the_uses_stay_when_the_account_is_erased(agent: Any, ada: Any) -> None:
    consent = allow(ask(agent), ada)
    verify(consent, Outcome.ALLOWED, NOON, "email:read")
    erase_user(actor=as_user(ada), user=ada)
    move()
    verify(consent, Outcome.ALLOWED, NOON, "email:read")
    assert uses_by_scope(consent) == {"email:read": ScopeUse(2, NOON)}
