"""The entry of a consent's end or narrowing follows, in the log, all decisions that still used it as it was."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from audit.models import Entry
from audit.sequencing.sequencer import sequence
from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from consent.services import expire_grants
from consent.terms import GivenTerms
from core import clock
from core.locks import DECISIONS
from tests.audit.journals import write_row
from tests.threads import race
from tests.world import Grant, allow, as_user, ask, make_grant

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def grant() -> Grant:
    return make_grant(scopes=["email:read"])


def replace(grant: Grant) -> None:
    allow(ask(grant.agent, scopes=["email:send"]), grant.user)


def expire_by_sweep(grant: Grant) -> None:
    Consent.objects.filter(pk=grant.consent.pk).update(expires_at=clock.now() - timedelta(seconds=1))
    assert expire_grants() == 1


def expire_by_approval(grant: Grant) -> None:
    Consent.objects.filter(pk=grant.consent.pk).update(expires_at=clock.now() - timedelta(seconds=1))
    replace(grant)


def narrow(grant: Grant) -> None:
    narrowing = Narrowing(terms=GivenTerms(modes={"email:read": "ask"}))
    narrow_consent(actor=as_user(grant.user), user=grant.user, consent=grant.consent, narrowing=narrowing)


@pytest.mark.parametrize(
    ("end", "event"),
    [
        (replace, "consent.replaced"),
        (narrow, "consent.narrowed"),
        (expire_by_sweep, "consent.expired"),
        (expire_by_approval, "consent.expired"),
    ],
)
def test_it_follows_a_decision_in_progress(end: Callable[[Any], None], event: str, grant: Grant, store: str) -> None:
    if store == "sqlite":
        pytest.skip("SQLite has one writer at a time, so rows are in the order of commits")
    has_begun, has_ended = threading.Event(), threading.Event()

    def decide() -> None:
        """Hold the lock as a decision does from its reading of facts to its commit."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [DECISIONS])
            has_begun.set()
            has_ended.wait(0.5)
            write_row(1, user_id=grant.user.id, consent_id=grant.consent.id)

    def act() -> None:
        assert has_begun.wait(10)
        end(grant)
        has_ended.set()

    race([decide, act])
    sequence()
    about = Entry.objects.filter(consent_id=grant.consent.id, event__in=["token.verify", event]).order_by("leaf_index")
    assert list(about.values_list("event", flat=True)) == ["token.verify", event]
