"""Switch off a webhook whose receiver is gone, or has accepted nothing until the last try of an event."""

from datetime import datetime

from audit.events import Event
from core.actor import SYSTEM
from events.mails import mail_about_switched_off
from events.models import Webhook
from events.services import record_webhook, switch_off_held


def switch_off(webhook: Webhook, reason: str, now: datetime, *, first: int) -> None:
    """Switch off a locked webhook, log it and mail the owners and admins, in the transaction of the caller.

    `first` is the number of the first event that it lacks.
    """
    switch_off_held(webhook, now, reason)
    webhook.cursor_number = min(webhook.cursor_number, first - 1)
    webhook.save()
    record_webhook(Event.WEBHOOK_DISABLED, SYSTEM, webhook, reason=reason)
    mail_about_switched_off(webhook, now)
