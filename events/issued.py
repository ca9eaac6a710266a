"""The webhooks to which an account gave their URL or whose secret it saw, as what outlives its sessions.

Its owner has them switched off: an intruder could have the events sent elsewhere, or sign what is not ours.
"""

from collections.abc import Collection
from datetime import datetime

from django.db.models import F, QuerySet

from agents.issued import REASON, SOURCES, Source, columns
from core import clock
from core.actor import Actor
from developers.credential_mails import Made
from events.endings import switch_off
from events.models import Webhook


def _find(admins: Collection[str], since: datetime) -> QuerySet[Webhook]:
    return Webhook.objects.filter(is_enabled=True, made_by__in=admins, made_at__gte=since)


def _list(rows: QuerySet[Webhook]) -> QuerySet[Webhook]:
    return columns(rows, Made.WEBHOOK, F("url"), owner="organization__name", at="made_at")


def _end(actor: Actor, rows: QuerySet[Webhook]) -> int:
    return switch_off(rows, actor=actor, now=clock.now(), reason=REASON)


SOURCES.append(Source(_find, _list, _end))
