"""Checks of what runs beside the server: the worker, what it should have done, mail, cache and queue."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from django.conf import settings
from django.core.mail import mailers  # type: ignore[attr-defined]  # newer than its stubs
from django.db.models import Model, QuerySet
from redis import Redis, RedisError, ResponseError

from accounts.models import BrowserSession, Notice
from agentgate import heartbeat
from agentgate.checks import LOG_MAILS
from agentgate.doctor.findings import Finding, count, first_line, ok, problem, skipped, warning
from consent.models import Consent
from consent.statuses import ConsentStatus
from core import clock
from core.models import IdempotencyRecord
from tokens.models import AccessToken
from tokens.services import KEEP_EXPIRED

START_WORKER = "Is ./dev worker running? Search its log for ERROR."
# How long an expired row may wait for its sweep, which runs each minute.
MAX_WAIT = timedelta(hours=1)
MAX_MAIL_WAIT = timedelta(minutes=10)
REDIS_SECONDS = 2.0
QUEUE, MAX_QUEUED = "celery", 1000


def check_worker() -> Iterator[Finding]:
    """Look at the file that the worker touches."""
    path, fault = heartbeat.heartbeat_path(), heartbeat.problem()
    if not fault:
        yield ok("Beat and the worker are running.")
    elif not path.exists():
        yield warning(f"There is no heartbeat at {path}.", "Start ./dev worker, or run this where it runs.")
    else:
        yield problem(f"Beat or the worker has stopped: {fault}.", START_WORKER)


def check_sweeps() -> Iterator[Finding]:
    """Look for rows that should have been deleted."""
    late = {name: rows.count() for name, rows in _overdue().items()}
    named = ", ".join(f"{number:,} {name}" for name, number in late.items() if number)
    if named:
        yield problem(f"Expired rows are not deleted: {named}.", START_WORKER)
    else:
        yield ok("Expired rows are deleted in time.")


def _overdue() -> Mapping[str, QuerySet[Model]]:
    due = clock.now() - MAX_WAIT
    return {
        "access tokens": AccessToken.objects.filter(expires__lt=due - KEEP_EXPIRED),
        "sessions": BrowserSession.objects.filter(expire_date__lt=due),
        "idempotency records": IdempotencyRecord.objects.filter(expires_at__lt=due),
        "requests for consent": Consent.objects.filter(status=ConsentStatus.PENDING, expires_at__lt=due),
    }


def check_mail() -> Iterator[Finding]:
    """Connect to the mail server, and sign in. Sends no mail."""
    late = Notice.objects.filter(due_at__lt=clock.now() - MAX_MAIL_WAIT).count()
    if late:
        yield problem(f"{count(late, 'mail')} to users waited for more than ten minutes.", START_WORKER)
    if settings.MAILERS["default"]["BACKEND"] == LOG_MAILS:
        message = "EMAIL_HOST is not set: mails are written to the log."
        yield warning(message, "Set EMAIL_HOST.") if settings.IS_HTTPS else skipped(message)
    elif not late:
        yield _connect_to_mail_server()


def _connect_to_mail_server() -> Finding:
    backend = mailers["default"]
    try:
        backend.open()
        backend.close()
    except OSError as error:  # `SMTPException` is one
        return problem(f"The mail server does not accept us: {first_line(error)}.", "Check EMAIL_HOST and the others.")
    return ok("The mail server accepts us.")


def check_cache() -> Iterator[Finding]:
    """Ask Redis, and look at the length of the queue in it."""
    if not settings.REDIS_URL:
        yield skipped("REDIS_URL is not set: each process counts anonymous verifies itself, and a folder is the queue.")
        return
    redis = Redis.from_url(settings.REDIS_URL, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS)
    try:
        redis.ping()
        queued = int(redis.llen(QUEUE))
        policy = _policy(redis)
    except RedisError as error:
        yield warning(
            f"Redis does not answer: {first_line(error)}.", "Start it: meanwhile, nothing expired is deleted."
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
    """Return what Redis does when its memory is full, or an empty string if it does not say so."""
    try:
        return str(redis.config_get("maxmemory-policy").get("maxmemory-policy", ""))
    except ResponseError:
        return ""
