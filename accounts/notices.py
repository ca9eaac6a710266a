"""Emails that tell a user what has happened in their account.

A notice is stored in the transaction of the act that it tells of, so there is none if the act is rolled back, and a
failure of the mail server or of the queue never breaks the act. A worker deletes it before the mail is sent, so that
two workers never both send it: a crash in between loses the mail, but not the entry in the log.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.mails import mailed, send_mail
from accounts.models import Notice, User
from core.actor import SYSTEM, Actor
from core.sweeps import BATCH
from core.user_agents import device_in_words


def add_notice(name: str, *, user: User, actor: Actor, at: datetime, facts: Mapping[str, Any] | None = None) -> None:
    """Let a worker send the email `name`. `facts` are more values for its template, which JSON can represent."""
    device = {"ip": actor.ip, "user_agent": actor.user_agent}
    Notice.objects.create(user=user, name=name, facts={**device, **(facts or {})}, created_at=at)


def send_notices(*, limit: int = BATCH) -> int:
    """Send up to `limit` notices, the oldest first. Return how many there were."""
    waiting = Notice.objects.select_related("user").order_by("pk")
    return sum(_send(notice) for notice in waiting[:limit])


@transaction.atomic
def _send(notice: Notice) -> int:
    deleted, _ = Notice.objects.filter(pk=notice.pk).delete()
    if deleted and notice.user.is_active:
        facts = {**notice.facts, "device": mailed(device_in_words(notice.facts["user_agent"]))}
        send_mail(
            notice.name,
            to=notice.user.email,
            zone=notice.user.time_zone,
            actor=SYSTEM,
            at=notice.created_at,
            context=facts,
        )
    return deleted
