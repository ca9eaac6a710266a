"""Undecided requests are deleted an hour after they expire. Decided ones and the log are kept."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.test import Client

from consent.granting import deny_consent
from consent.models import Consent
from consent.services import delete_undecided_consents
from consent.tasks import sweep_consents, sweep_undecided_consents
from resources.catalogue import catalogue, snapshot
from tests.log import log_entries
from tests.world import allow, as_user, ask, make_user

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 23, 12, tzinfo=UTC)


@pytest.mark.postgresql
def test_an_undecided_request_is_deleted_an_hour_after_it_expires_but_its_log_entries_are_kept(agent: Any) -> None:
    with time_machine.travel(START, tick=False) as traveller:
        pending = ask(agent)
        traveller.shift(timedelta(minutes=10))
        assert sweep_undecided_consents() == 0
        sweep_consents()
        traveller.shift(timedelta(hours=1) - timedelta(seconds=1))
        assert sweep_undecided_consents() == 0
        traveller.shift(timedelta(seconds=1))
        assert sweep_undecided_consents() == 1
    assert not Consent.objects.exists()
    events = log_entries(consent_id=pending.id).order_by("id").values_list("event", flat=True)
    assert list(events) == ["consent.requested", "consent.expired"]
    assert Client().get(f"/api/v1/consent/{pending.id}").status_code == 404
    assert Client().get(f"/consent/{pending.id}").status_code in (302, 404)


def test_decided_requests_are_kept(agent: Any) -> None:
    ada = make_user("ada@example.com")
    with time_machine.travel(START, tick=False) as traveller:
        granted, denied = allow(ask(agent), ada), ask(agent)
        deny_consent(actor=as_user(ada), consent=denied, user=ada)
        traveller.shift(timedelta(days=40))
        assert sweep_consents() == 1
        assert delete_undecided_consents() == 0
    assert set(Consent.objects.values_list("id", "status")) == {(granted.id, "expired"), (denied.id, "denied")}


@pytest.mark.postgresql
def test_a_sweep_deletes_the_oldest_up_to_its_limit(agent: Any) -> None:
    with time_machine.travel(START, tick=False) as traveller:
        consents = []
        for _ in range(5):
            consents.append(ask(agent))
            traveller.shift(timedelta(seconds=1))
        traveller.shift(timedelta(days=2))
        sweep_consents()
        assert delete_undecided_consents(limit=2) == 2
        assert set(Consent.objects.values_list("id", flat=True)) == {consent.id for consent in consents[2:]}
        assert delete_undecided_consents() == 3


def test_beat_schedules_the_sweep() -> None:
    assert "consent.tasks.sweep_undecided_consents" in {each["task"] for each in settings.CELERY_BEAT_SCHEDULE.values()}


@pytest.mark.postgresql
def test_a_request_for_all_scopes_takes_little_space(agent: Any) -> None:
    """Anyone can make such requests in the name of a public client."""
    texts = snapshot(list(catalogue().values()))
    consent = ask(agent)
    Consent.objects.update(shown_scopes=texts)
    with connection.cursor() as cursor:
        cursor.execute("SELECT length(shown_scopes) FROM consent_consent")
        assert cursor.fetchone()[0] < 4096 < len(json.dumps(texts))
    consent.refresh_from_db()
    assert consent.shown_scopes == texts
