"""Emails that tell a user what has happened in their account, or an address that someone invites it.

A notice is stored in the same transaction as the event that it reports. If the event is rolled back, so is the notice,
and a failure of the mail server or the queue never affects the event. A worker claims a notice by postponing it, sends
the mail, and then deletes it. If the mail server fails or the worker dies, the notice is due again.
"""

import logging
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from accounts.mails import Occasion, chosen_language, compose_mail
from accounts.models import Notice, User
from accounts.throttles import may_mail_member, may_mail_stranger
from core import clock
from core.actor import Actor
from core.sweeps import BATCH, SECONDS

# The delay before the next attempt is the time that the notice has waited so far, within these bounds. Danger: a second
# worker can claim the notice after `MIN_DELAY`, so keep it longer than the timeout for sending an email.
MIN_DELAY, MAX_DELAY = timedelta(minutes=2), timedelta(hours=4)
# The age of a notice after which a failed attempt is not repeated.
MAX_AGE = timedelta(days=1)
logger = logging.getLogger(__name__)


def add_notice(name: str, *, user: User, actor: Actor, at: datetime, facts: Mapping[str, Any] | None = None) -> None:
    """Let a worker send the email `name`.

    `facts` are ids, times in ISO 8601 and what others wrote, which JSON can represent. They are never sentences: the
    email is written when it is sent, in the language and the zone that the user has then. With an `organizationId`, it
    is dropped beyond a limit per kind, so that a member who repeats an act cannot flood the mailboxes of the others.
    """
    device = {"ip": actor.ip, "user_agent": actor.user_agent}
    Notice.objects.create(user=user, name=name, facts={**device, **(facts or {})}, created_at=at, due_at=at)


def add_notice_to_address(
    name: str, *, to: str, at: datetime, language: str = "", facts: Mapping[str, Any] | None = None
) -> None:
    """Let a worker send the email `name` to a normalized address, whether or not it has an account.

    Its `language` is that of the sender, and English by default: that of the reader is not known.

    Beyond a limit per address, a worker drops it, so that many senders cannot flood a mailbox.
    """
    given = {"language": language, **(facts or {})}
    Notice.objects.create(email=to, name=name, facts=given, created_at=at, due_at=at)


def send_notices(*, limit: int = BATCH) -> int:
    """Send up to `limit` notices that are due, for up to `SECONDS`. Return the number of attempts."""
    deadline = time.monotonic() + SECONDS
    due = Notice.objects.filter(due_at__lte=clock.now()).order_by("due_at", "pk")
    return sum(_send(notice) for notice in due[:limit] if time.monotonic() < deadline)


def _send(notice: Notice) -> int:
    """Send a notice unless another worker has claimed it. Call it outside transactions: a mail server can be slow."""
    if not _claim(notice):
        return 0
    try:
        _mail(notice)
    except Exception:  # one email that fails must not hold back the others
        if clock.now() - notice.created_at < MAX_AGE:
            logger.warning("The email %s could not be sent. It is tried again.", notice.name, exc_info=True)
            return 1
        logger.exception("The email %s could not be sent for a day. It is not tried again.", notice.name)
    Notice.objects.filter(pk=notice.pk).delete()
    return 1


def _claim(notice: Notice) -> bool:
    """Claim the notice by postponing it, unless it has changed since it was read. Return whether it was claimed."""
    now = clock.now()
    delay = min(max(now - notice.created_at, MIN_DELAY), MAX_DELAY)
    return bool(Notice.objects.filter(pk=notice.pk, due_at=notice.due_at).update(due_at=now + delay))


def _mail(notice: Notice) -> None:
    """Send the email to the user's current address, or to the notice's. Send nothing to an inactive user."""
    if notice.user_id is None:
        if _may_mail(notice):
            occasion = Occasion(notice.email, notice.created_at, notice.facts)
            compose_mail(notice.name, occasion, language=notice.facts["language"], zone="").send()
        return
    user = User.objects.get(pk=notice.user_id)
    if user.is_active and _may_mail(notice):
        occasion = Occasion(user.email, notice.created_at, notice.facts)
        compose_mail(notice.name, occasion, language=chosen_language(user), zone=user.time_zone).send()


def _may_mail(notice: Notice) -> bool:
    """Count an email that others can cause, to a stranger or a member. Return whether it is within the limits.

    A second attempt does not count again.
    """
    organization_id = notice.facts.get("organizationId")
    if notice.facts.get("counted") or (notice.user_id and not organization_id):
        return True
    if notice.user_id:
        allowed = may_mail_member(notice.name, notice.user_id, organization_id)
    else:
        allowed = may_mail_stranger(notice.email)
    if allowed:
        Notice.objects.filter(pk=notice.pk).update(facts={**notice.facts, "counted": True})
    return allowed
