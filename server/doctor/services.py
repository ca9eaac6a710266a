"""Checks of what runs alongside the server: the worker and its tasks, mail, cache, queue and disk."""

import shutil
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.core.mail import mailers  # type: ignore[attr-defined]  # newer than its stubs
from django.db import DEFAULT_DB_ALIAS, connection
from redis import Redis, RedisError, ResponseError

from accounts import console_mail
from accounts.models import Notice
from core import clock
from core.timeouts import QUEUE_SECONDS
from server.doctor.findings import Finding, count, first_line, in_words, ok, problem, skipped, warning
from server.vitals import count_overdue, look_at_worker

START_WORKER = "Is ./dev worker running? Search its log for ERROR."
MAX_MAIL_WAIT = timedelta(minutes=10)
QUEUES, MAX_QUEUED = ("celery", "events"), 1000
# The share of a disk that is free.
LOW, CRITICAL = 0.2, 0.05


def check_worker() -> Iterator[Finding]:
    """Look at the last runs of the worker's tasks, wherever it runs."""
    now = clock.now()
    worker = look_at_worker(now)
    if worker.beat_at is None:
        yield warning("No worker has run yet.", "Start ./dev worker.")
    elif not worker.is_alive:
        yield problem(
            f"Beat or the worker has stopped: it last ran {in_words(now - worker.beat_at)} ago.", START_WORKER
        )
    else:
        yield ok("Beat and the worker are running.")


def check_sweeps() -> Iterator[Finding]:
    """Look for tasks that failed or are late, and for expired rows that no sweep has handled."""
    worker = look_at_worker(clock.now())
    overdue = ", ".join(f"{number:,} {name}" for name, number in count_overdue().items())
    if overdue:
        yield problem(f"Expired rows were not swept: {overdue}.", START_WORKER)
    if worker.failed:
        yield problem(f"Tasks failed: {', '.join(worker.failed)}.", "Search the worker's log for ERROR.")
    if worker.late:
        yield warning(f"Tasks are late: {', '.join(worker.late)}.", START_WORKER)
    if not (overdue or worker.failed or worker.late):
        yield ok("Sweeps are on time.")


def check_mail() -> Iterator[Finding]:
    """Connect to the mail server and sign in, without sending mail."""
    late = Notice.objects.filter(due_at__lt=clock.now() - MAX_MAIL_WAIT).count()
    if late:
        yield problem(f"{count(late, 'mail')} to users waited for more than ten minutes.", START_WORKER)
    if settings.MAILERS["default"]["BACKEND"] == console_mail.BACKEND:
        message = "EMAIL_HOST is not set: mails are written to the log."
        yield warning(message, "Set EMAIL_HOST.") if settings.IS_HTTPS else skipped(message)
    else:
        yield _connect_to_mail_server()


def _connect_to_mail_server() -> Finding:
    backend = mailers["default"]
    try:
        backend.open()
        backend.close()
    except OSError as error:  # `SMTPException` is one
        return problem(
            f"The mail server refuses the connection: {first_line(error)}.",
            "Check EMAIL_HOST and the other settings of mail.",
        )
    return ok("The mail server accepts the connection.")


def check_cache() -> Iterator[Finding]:
    """Ask Redis, and look at the length of the queue in it."""
    if not settings.REDIS_URL:
        yield skipped("REDIS_URL is not set: each process counts anonymous verifies itself, and a folder is the queue.")
        return
    redis = Redis.from_url(settings.REDIS_URL, socket_timeout=QUEUE_SECONDS, socket_connect_timeout=QUEUE_SECONDS)
    try:
        redis.ping()
        queued = sum(int(redis.llen(queue)) for queue in QUEUES)
        policy = _policy(redis)
    except RedisError as error:
        yield warning(
            f"Redis does not answer: {first_line(error)}.", "Start it. Until then, expired rows are not deleted."
        )
        return
    finally:
        redis.close()
    if queued > MAX_QUEUED:
        yield problem(f"{count(queued, 'task')} wait in the queue.", START_WORKER)
    elif policy not in ("noeviction", ""):
        message = f"Redis may drop tasks when its memory is full: maxmemory-policy is {policy}."
        yield warning(message, "Set maxmemory-policy to noeviction.")
    else:
        yield ok(f"Redis answers, and {count(queued, 'task')} wait in the queue.")


def _policy(redis: Redis) -> str:
    """Return what Redis does when its memory is full, or an empty string if it does not tell."""
    try:
        return str(redis.config_get("maxmemory-policy").get("maxmemory-policy", ""))
    except ResponseError:
        return ""


def check_disk() -> Iterator[Finding]:
    """Look at the free space of each file system that this host writes to. PostgreSQL's own may be on another host."""
    folders = [settings.AUDIT_ANCHOR_DIR, *_database_folder(), *_archive_folder()]
    for folder in _one_per_device(folders):
        usage = shutil.disk_usage(folder)
        share = usage.free / usage.total
        message = f"{100 * share:.0f} % of the disk of {folder} is free ({usage.free / 2**30:.1f} GiB)."
        if share < CRITICAL:
            yield problem(message, "Free up space now: with a full disk, the server answers 503 instead of deciding.")
        elif share < LOW:
            yield warning(message, "Free up space, or archive old months of the log.")
        else:
            yield ok(message)


def _database_folder() -> list[Path]:
    is_file = connection.vendor == "sqlite"
    return [Path(settings.DATABASES[DEFAULT_DB_ALIAS]["NAME"]).parent] if is_file else []


def _archive_folder() -> list[Path]:
    location = settings.STORAGES["archive"]["OPTIONS"].get("location")
    return [location] if isinstance(location, Path) else []


def _one_per_device(folders: Iterable[Path]) -> Iterable[Path]:
    """Return the first folder of each file system. A folder that does not exist yet counts as its parent."""
    existing = [next(each for each in (folder, *folder.parents) if each.exists()) for folder in folders]
    return {folder.stat().st_dev: folder for folder in reversed(existing)}.values()
