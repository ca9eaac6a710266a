"""The sweep of expired tokens while another transaction locks the same rows."""

import threading
from datetime import timedelta

import pytest
from django.db import transaction

from core import clock
from tests.threads import race
from tests.world import make_agent, make_developer
from tokens.models import TokenFamily
from tokens.services import delete_expired_tokens


@pytest.mark.django_db(transaction=True)
def test_the_sweep_skips_locked_rows_and_so_cannot_deadlock() -> None:
    agent, long_ago = make_agent(make_developer("dev@example.com", "Acme")), clock.now() - timedelta(days=3)
    ids = [TokenFamily.objects.create(application=agent, created_at=long_ago, resource=[]).pk for _ in range(2)]
    is_held, is_swept = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            TokenFamily.objects.select_for_update().get(pk=max(ids))
            is_held.set()
            is_swept.wait(1)
            TokenFamily.objects.select_for_update().filter(pk=min(ids)).first()

    def sweep() -> int:
        is_held.wait(10)
        deleted = delete_expired_tokens()
        is_swept.set()
        return deleted

    deleted = race([hold, sweep])[1]
    assert deleted + delete_expired_tokens() == 2
    assert not TokenFamily.objects.exists()
