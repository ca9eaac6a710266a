"""Upgrade a database of an earlier version and use it: `python -m tests.upgrades.reading KNOWN CHECKPOINT`.

It runs in the environment of a server. KNOWN is what `story.py` wrote, and CHECKPOINT the path of a
file that this writes.
"""

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import django

if __name__ == "__main__":
    django.setup()

from django.core.management import call_command

from accounts.models import User
from accounts.second_factors import check_code
from agents.models import Agent
from approvals.models import Approval
from approvals.services import approve_approval
from audit.models import Entry, Journal
from audit.readers.reading import read_entry
from audit.sequencing.sequencer import sequence
from core import clock
from decisions.requests import Decision, Reason, VerifyRequest
from decisions.services import decide
from developers.api_keys import use_api_key
from insights.services import count_log
from server.doctor.database import check_triggers
from server.doctor.findings import Status
from server.doctor.schema import differences
from tests.totp import code_now
from tests.upgrades.story import KNOWN, OTHER
from tests.world import ANONYMOUS, as_user
from tokens.issuing import IssuedTokens
from tokens.refresh import refresh_tokens


def read(known: dict[str, str], checkpoint: Path) -> None:
    """Raise an error if this version cannot use the database."""
    call_command("migrate", verbosity=0)
    assert list(differences()) == []
    assert all(found.status is Status.OK for found in check_triggers())
    _accounts_are_known(known)
    _decisions_are_as_before(known["access_token"])
    _approvals_can_be_given(known)
    _tokens_can_be_refreshed(known)
    _the_log_is_read_and_continued(known, checkpoint)


def _accounts_are_known(known: dict[str, str]) -> None:
    user = User.objects.get(pk=known["user"])
    check_code(actor=as_user(user), user=user, code=code_now(known["totp"], 1))
    key = use_api_key(known["api_key"])
    assert key is not None
    assert key.developer.organization.name == "Acme"


def _decisions_are_as_before(token: str) -> None:
    assert _verify(token, "email:read").allowed
    assert _verify(token, "email:send", context=KNOWN).allowed, "the user has approved it for a day"
    assert _verify(token, "email:read", action="email:forward").reason is Reason.POLICY_DENIED
    assert _verify(token, "email:read", action="acme:archive").reason is Reason.INSUFFICIENT_SCOPE


def _approvals_can_be_given(known: dict[str, str]) -> None:
    token, user = known["access_token"], User.objects.get(pk=known["user"])
    asked = _verify(token, "email:send", context=OTHER)
    assert (asked.reason, asked.approval_id) == (Reason.APPROVAL_REQUIRED, known["waiting"])
    approval = Approval.objects.get(pk=known["waiting"])
    approve_approval(actor=as_user(user), approval=approval, user=user, signed_in_at=clock.now())
    assert _verify(token, "email:send", context=OTHER).allowed


def _tokens_can_be_refreshed(known: dict[str, str]) -> None:
    agent = Agent.objects.get(pk=known["agent"])
    issued = refresh_tokens(actor=ANONYMOUS, agent=agent, refresh_token=known["refresh_token"])
    assert isinstance(issued, IssuedTokens)
    assert _verify(issued.access_token, "email:read").allowed


def _the_log_is_read_and_continued(known: dict[str, str], checkpoint: Path) -> None:
    sequence()
    count_log()
    assert not Journal.objects.exists()
    checkpoint.write_text(known["checkpoint"])
    call_command("audit_verify", checkpoint=checkpoint)
    approved = read_entry(Entry.objects.filter(event="approval.approved").earliest("leaf_index"))
    assert (approved.is_erased, approved.personal["context"]["recipient"]) == (False, KNOWN["recipient"])


def _verify(token: str, scope: str, **fields: object) -> Decision:
    (decision,) = decide([VerifyRequest(token=token, required_scopes=[scope], actor=ANONYMOUS, **fields)])
    return decision


if __name__ == "__main__":
    known = json.loads(Path(sys.argv[1]).read_text())
    moment = datetime.fromisoformat(known["made_at"]) + timedelta(minutes=1)
    with patch("django.utils.timezone.now", lambda: moment):
        read(known, Path(sys.argv[2]))
