"""A short log with several segments and levels of tiles, and what `audit_verify` says of it."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from audit.events import Outcome
from audit.sequencing import log, sequencer, tree
from audit.sequencing.sequencer import sequence
from tests.audit.journals import write_row
from tests.audit.segments import shrink_segments

START = datetime(2026, 3, 1, tzinfo=UTC)
EUR = {"currency": "EUR", "value": "1.50"}


def use_small_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Complete tiles after 4 entries and segments after 16, and save the streams at each step."""
    monkeypatch.setattr(sequencer, "SAVE_SECONDS", 0.0)
    shrink_segments(monkeypatch, 16)
    monkeypatch.setattr(tree, "TILE_HEIGHT", 2)
    for module in (tree, log):
        monkeypatch.setattr(module, "TILE_WIDTH", 4)


def write_history() -> None:
    """Write 41 entries of two people, two organizations and two connections, with a checkpoint for each four."""
    for number in range(41):
        person, outcome = f"usr_{number % 2}", Outcome.DENIED if number % 5 == 0 else Outcome.ALLOWED
        write_row(
            1,
            START + timedelta(minutes=number),
            user_id=person,
            consent_id=f"cns_{person}",
            outcome=outcome,
            scopes=["email:read", "email:send"][: 1 + number % 3],
            personal={"amount": EUR} if number % 3 == 0 else {},
            service_organization_ids=["org_2"] if number % 4 == 0 else [],
        )
        if number % 4 == 3:
            sequence()
    sequence()


def verify(*arguments: str) -> tuple[int, str]:
    """Return the exit code and the line that it prints."""
    out = StringIO()
    try:
        call_command("audit_verify", *arguments, stdout=out)
    except SystemExit as ended:
        return int(str(ended.code)), out.getvalue().strip()
    return 0, out.getvalue().strip()
