"""Emails that tell a user what has happened in their account.

A notice is stored in the transaction of the act that it tells of, so there is none if the act is rolled back, and a
failure of the mail server or of the queue never breaks the act. A worker claims a notice by postponing it, sends the
mail, and then deletes it. If the mail server fails or the worker dies, the notice is due again.
"""

import logging
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from accounts.mails import compose_mail, mailed
from accounts.models import Notice, User
from core import clock
from core.actor import SYSTEM, Actor
from core.sweeps import BATCH, SECONDS
from core.user_agents import device_in_words

# An attempt is repeated after as long as the notice has waited so far, within these bounds. Danger: a second worker
# claims the notice after `MIN_DELAY`, so it is longer than a mail takes until it times out.
MIN_DELAY, MAX_DELAY = timedelta(minutes=2), timedelta(hours=4)
# How old a notice is when an attempt that fails is the last.
MAX_AGE = timedelta(days=1)
logger = logging.getLogger(__name__)


def add_notice(name: str, *, user: User, actor: Actor, at: datetime, facts: Mapping[str, Any] | None = None) -> None:
    """Let a worker send the email `name`. `facts` are more values for its template, which JSON can represent."""
    device = {"ip": actor.ip, "user_agent": actor.user_agent}
    Notice.objects.create(user=user, name=name, facts={**device, **(facts or {})}, created_at=at, due_at=at)


def send_notices(*, limit: int = BATCH) -> int:
    """Send up to `limit` notices that are due, for up to `SECONDS`. Return for how many this was attempted."""
    deadline = time.monotonic() + SECONDS
    due = Notice.objects.filter(due_at__lte=clock.now()).order_by("due_at", "pk")
    return sum(_send(notice) for notice in due[:limit] if time.monotonic() < deadline)


def _send(notice: Notice) -> int:
    """Send a notice unless another worker has claimed it. Call it outside transactions: a mail server can be slow."""
    if not _claim(notice):
        return 0
    try:
        _mail(notice)
    except Exception:  # one mail that fails, for whatever reason, must not hold back the others
        if clock.now() - notice.created_at < MAX_AGE:
            logger.warning("The email %s could not be sent. It is tried again.", notice.name, exc_info=True)
            return 1
        logger.exception("The email %s could not be sent for a day. It is not tried again.", notice.name)
    Notice.objects.filter(pk=notice.pk).delete()
    return 1


def _claim(notice: Notice) -> bool:
    """Postpone the notice, if it is still as it was read. Return whether it was."""
    now = clock.now()
    delay = min(max(now - notice.created_at, MIN_DELAY), MAX_DELAY)
    return bool(Notice.objects.filter(pk=notice.pk, due_at=notice.due_at).update(due_at=now + delay))


def _mail(notice: Notice) -> None:
    """Send the mail to the address that the user has now, and none to a user who is inactive."""
    user = User.objects.get(pk=notice.user_id)
    if not user.is_active:
        return
    facts = {**notice.facts, "device": mailed(device_in_words(notice.facts.get("user_agent", "")))}
    at, zone = notice.created_at, user.time_zone
    compose_mail(notice.name, to=user.email, zone=zone, actor=SYSTEM, at=at, context=facts).send()
