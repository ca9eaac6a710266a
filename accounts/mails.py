"""Emails to users. Templates: `templates/account/email/<name>_subject.txt` and `<name>_message.txt`."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string

from core import clock
from core.actor import Actor


def send_mail(name: str, *, to: str, actor: Actor, context: Mapping[str, Any] | None = None) -> None:
    """Send an email after the transaction commits. A failure is logged and has no other effect.

    Links start with `API_URL`, because the sender of a request controls its Host header.
    """
    facts = {"site_url": settings.API_URL, "site_host": settings.HOSTNAME, "at": clock.now(), "ip": actor.ip, "to": to}
    values = {**facts, **(context or {})}
    subject = " ".join(render_to_string(f"account/email/{name}_subject.txt", values).split())
    body = render_to_string(f"account/email/{name}_message.txt", values).strip() + "\n"
    message = EmailMessage(f"[AgentGate] {subject}", body, settings.DEFAULT_FROM_EMAIL, [to])
    transaction.on_commit(partial(_deliver, message), robust=True)


def _deliver(message: EmailMessage) -> None:
    message.send()
