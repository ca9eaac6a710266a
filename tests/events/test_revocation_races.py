"""A refresh beside the commit of an act that ends tokens. SQLite has one writer at a time."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine
from django.db import connection

from audit.sequencing.sequencer import sequence
from core import clock, locks
from tests.events.test_revocations import ACTS, make_scene, refusal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql(only=True)]


@pytest.fixture(autouse=True)
def _on_postgresql() -> None:
    if connection.vendor == "sqlite":
        pytest.skip("no refresh is beside it")


@pytest.mark.parametrize("name", ["consent revoked", "agent suspended", "organization stopped", "user deactivated"])
def test_a_token_issued_while_an_act_commits_has_ended(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit can wait for decisions, and a refresh does not wait for it."""
    scene = make_scene()
    with time_machine.travel(clock.now(), tick=False) as moved, ThreadPoolExecutor(1) as beside:

        def refresh() -> None:
            scene.refresh()
            connection.close()

        def commit_slowly() -> None:
            moved.shift(8)
            beside.submit(refresh).result(10)

        monkeypatch.setattr(locks, "hold_decisions", commit_slowly)
        ACTS[name][0](scene)
        assert scene.reason() is not None
        assert refusal(scene.server, scene.token) is not None
        moved.shift(60)
        sequence()
        assert refusal(scene.server, scene.token) is not None, "also if it was read from the log"
