"""The demo's history has an example of each outcome, and is created once."""

from pathlib import Path

import pytest
from django.db.models import Sum

from audit.models import Entry
from demo import environment, people
from demo.__main__ import set_up
from demo.history import make_history
from insights.models import Kind, RollUp, Unit
from tests.log import log_entries


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    monkeypatch.setattr(people, "FILE", tmp_path / "people.json")


def denials() -> list[Entry]:
    return list(log_entries(event="token.verify", outcome="denied"))


def test_it_has_denials_by_each_type_of_rule_and_consents_and_agents_that_ended() -> None:
    make_history()

    events = set(log_entries().values_list("event", flat=True))
    reasons = {entry.content["reason"] for entry in denials()}
    denied_by = {entry.content["metadata"].get("ruleType") for entry in denials()}
    assert {"rate_limit", "time_window", "action_allowlist", "action_blocklist", "ip_allowlist"} <= denied_by
    assert {"consent.approved", "consent.denied", "consent.revoked", "agent.stopped", "token.replayed"} <= events
    assert {"insufficient_scope", "consent_revoked", "agent_suspended", "token_revoked"} <= reasons


def test_the_analytics_show_it_from_the_start() -> None:
    set_up()
    counted = RollUp.objects.filter(kind=Kind.DECISION, unit=Unit.DAY, agent_id="").aggregate(total=Sum("number"))
    assert counted["total"] == log_entries(event="token.verify").count() > 10


def test_a_second_start_adds_nothing_and_keeps_the_credentials_in_a_private_file() -> None:
    first = make_history()
    logged = log_entries().count()

    assert make_history() == first
    assert log_entries().count() == logged
    assert people.FILE.stat().st_mode & 0o077 == 0
    assert first.client_secret not in repr(first)

    people.FILE.unlink()
    with pytest.raises(RuntimeError, match="has other users"):
        make_history()


def test_a_secret_is_made_once_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "FOLDER", tmp_path)
    made = environment.stored_secret("JWT_SECRET")
    assert environment.stored_secret("JWT_SECRET") == made != environment.stored_secret("SECRET_KEY")
    assert (tmp_path / "jwt_secret").stat().st_mode & 0o077 == 0
