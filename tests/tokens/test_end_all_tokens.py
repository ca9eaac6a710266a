"""`end_all_tokens`, the command to run after a restore."""

import pytest
from django.core.management import CommandError, call_command

from audit.events import Event
from tests.log import log_entries, log_entry
from tests.tokens.test_flows import is_allowed, refresh
from tests.world import make_grant
from tokens.issuing import IssuedTokens

pytestmark = pytest.mark.django_db


def test_all_tokens_end_and_the_reason_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    grant = make_grant()
    assert is_allowed(grant.access_token)

    call_command("end_all_tokens", "--reason", "Restored the backup of Monday")

    assert capsys.readouterr().out == "1 connection ended. Agents must ask for consent again.\n"
    assert not is_allowed(grant.access_token)
    assert not isinstance(refresh(grant), IssuedTokens)
    (entry,) = log_entries(event=Event.TOKEN_REVOKED)
    assert log_entry(entry.id).content["metadata"]["reason"] == "Restored the backup of Monday"
    assert grant.agent.organization_id in entry.organization_ids


def test_a_reason_is_required() -> None:
    with pytest.raises(CommandError, match="--reason"):
        call_command("end_all_tokens")


def test_families_that_had_ended_are_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    make_grant()
    call_command("end_all_tokens", "--reason", "first")
    call_command("end_all_tokens", "--reason", "second")
    assert capsys.readouterr().out.endswith("0 connections ended. Agents must ask for consent again.\n")
    assert log_entries(event=Event.TOKEN_REVOKED).count() == 1
