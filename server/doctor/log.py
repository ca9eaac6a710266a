"""Checks of the log: the sequencer, the anchors outside the database, the archive."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings

from audit.condition import MAX_DAMAGED, damaged_rows, lag_seconds, witness_failures
from audit.models import Archive, Checkpoint
from audit.signing import anchors, checkpoints
from audit.signing.log_keys import open_with_any, stored_keys
from audit.signing.notes import NoteBroken, Statement
from core import clock
from server.doctor.findings import Finding, count, in_words, ok, problem, skipped, warning
from server.vitals import Status, judge_lag

MAX_ANCHOR_LAG = timedelta(minutes=5)
MAX_ARCHIVING = timedelta(days=3)


def check_sequencer() -> Iterator[Finding]:
    """Check how long the oldest row of the journal has waited."""
    lag = timedelta(seconds=lag_seconds())
    message = f"The oldest entry of the journal has waited {in_words(lag)} for its number in the log."
    status = judge_lag(lag)
    if status is Status.PROBLEM:
        remedy = "Is ./dev serve or ./dev sequencer running? Search its log for “The sequencer failed” and CRITICAL."
        yield problem(message, remedy)
    elif status is Status.WARNING:
        yield warning(message, "Look for a busy database or a long transaction.")
    else:
        newest = checkpoints.latest()
        yield ok(f"Nothing waits for its number. {_covered(newest)}")


def check_journal() -> Iterator[Finding]:
    """Check that no row of the journal is damaged. Its entries may be missing in the log."""
    damaged = damaged_rows()
    if damaged:
        some = ", ".join(map(str, damaged[:5])) + (" and others" if len(damaged) > 5 else "")
        most = "at least " if len(damaged) == MAX_DAMAGED else ""
        message = f"The log is incomplete: {most}{count(len(damaged), 'row')} of the journal cannot be moved: {some}."
        yield problem(message, "Run ./dev manage audit_damaged (docs/operations.md#damaged-rows-of-the-journal).")
    else:
        yield ok("The journal has no damaged rows.")


def check_witnesses() -> Iterator[Finding]:
    """Check that each witness has signed the newest checkpoint that it was asked to sign."""
    if not settings.AUDIT_WITNESSES:
        yield skipped("AUDIT_WITNESSES is not set, so no third party checks that the log only grows.")
        return
    failures = witness_failures()
    for one in failures:
        message = f"{one.witness} has not signed for {in_words(clock.now() - one.since)}: {one.reason}."
        if one.is_refusal:
            yield problem(
                message, "Compare the log with what the witness has seen (docs/operations.md#a-witness-that-refuses)."
            )
        else:
            yield warning(message, "Ask its operator. Until then, checkpoints are published without its signature.")
    if not failures:
        yield ok("All witnesses of AUDIT_WITNESSES sign.")


def _covered(newest: Checkpoint | None) -> str:
    return f"The newest checkpoint covers {newest.size:,} entries." if newest else "The log is empty."


def check_anchors() -> Iterator[Finding]:
    """Compare the newest checkpoint in `AUDIT_ANCHOR_DIR` with the log: if it covers more, the log was rolled back."""
    path: Path = settings.AUDIT_ANCHOR_DIR / anchors.NEWEST
    try:
        # Read it before the database, because only what is committed is anchored.
        note, written = path.read_text(), path.stat().st_mtime
    except OSError as error:
        newest = checkpoints.latest()
        yield (
            _missing(path, error) if newest else skipped(f"{path.parent} has no checkpoint, and neither does the log.")
        )
        return
    try:
        _, stated = open_with_any(note, stored_keys())
    except (NoteBroken, UnicodeDecodeError) as error:
        yield problem(f"{path} is not a checkpoint of this log: {error}", "Find out where it came from.")
        return
    yield _compare(path, stated, written)


def _missing(path: Path, error: OSError) -> Finding:
    remedy = "Run this on the server's host, or let the server write to AUDIT_ANCHOR_DIR."
    return warning(f"{path} cannot be read: {error.strerror}.", remedy)


def _compare(path: Path, stated: Statement, written: float) -> Finding:
    newest = checkpoints.latest()
    size = newest.size if newest else 0
    if stated.size > size:
        message = f"{path} covers {stated.size:,} entries, and the log has checkpoints of only {size:,}."
        return problem(message, "The database was restored or rolled back: see docs/evidence.md#after-a-restore.")
    same = Checkpoint.objects.filter(size=stated.size).first()
    if same and open_with_any(same.note, stored_keys())[1] != stated:
        message = f"{path} and the log differ about the root of {stated.size:,} entries."
        return problem(message, f"Keep a copy, and run ./dev manage audit_verify --checkpoint {path}.")
    lag = newest.created_at.timestamp() - written if newest else 0.0
    if lag > MAX_ANCHOR_LAG.total_seconds():
        message = f"{path} is {in_words(timedelta(seconds=lag))} older than the newest checkpoint."
        return warning(message, "Search the server's log for AUDIT_ANCHOR_DIR: permissions, or a full disk.")
    return ok(f"{path} agrees with the log. Copy it to where the database's administrator cannot write.")


def check_archive() -> Iterator[Finding]:
    """Check that no month has been stuck on its way into the archive for days."""
    if settings.AUDIT_ARCHIVE_AFTER_MONTHS is None and not Archive.objects.exists():
        yield skipped("AUDIT_ARCHIVE_AFTER_MONTHS is not set: all months stay in the database.")
        return
    stuck = Archive.objects.exclude(state=Archive.State.PRUNED).filter(updated_at__lt=clock.now() - MAX_ARCHIVING)
    months = ", ".join(str(each.month) for each in stuck)
    if months:
        remedy = "Run ./dev manage audit_archive, which says what is wrong. Nothing was deleted."
        yield warning(f"Months stuck on their way into the archive: {months}.", remedy)
    else:
        yield ok(f"{count(Archive.objects.count(), 'month')} archived. audit_archive --verify reads them again.")
