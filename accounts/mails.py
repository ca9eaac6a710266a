"""Emails to users. Templates: `templates/account/email/<name>_subject.txt` and `<name>_message.txt`."""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string

from core import clock
from core.actor import Actor
from core.text import plain_text
from core.zones import in_words

MAX_NAME = 60
# Mail programs turn anything that looks like an address into a link.
LINKABLE = re.compile(r"([./@:])(?=\S)")


def send_mail(
    name: str,
    *,
    to: str,
    actor: Actor,
    zone: str = "",
    context: Mapping[str, Any] | None = None,
) -> None:
    """Send an email about something that happens now, after the transaction commits.

    A failure is logged and has no other effect. The arguments are those of `compose_mail`.
    """
    message = compose_mail(name, to=to, actor=actor, zone=zone, at=clock.now(), context=context)
    transaction.on_commit(partial(_deliver, message), robust=True)


def compose_mail(
    name: str,
    *,
    to: str,
    actor: Actor,
    zone: str,
    at: datetime,
    context: Mapping[str, Any] | None = None,
) -> EmailMessage:
    """Return an email.

    `at` is when it happened, and `zone` the time zone in which the user reads it, UTC if empty: templates show `when`.
    Links start with `API_URL`, because the sender of a request controls its Host header.
    """
    when = in_words(at, zone)
    facts = {"site_url": settings.API_URL, "site_host": settings.HOSTNAME, "when": when, "ip": actor.ip, "to": to}
    values = {**facts, **(context or {})}
    subject = " ".join(render_to_string(f"account/email/{name}_subject.txt", values).split())
    body = render_to_string(f"account/email/{name}_message.txt", values).strip() + "\n"
    return EmailMessage(f"[AgentGate] {subject}", body, settings.DEFAULT_FROM_EMAIL, [to])


def mailed(text: object) -> str:
    """Return a name that others chose in a form that is safe in an email: short, on one line, and never a link."""
    return LINKABLE.sub(r"\1 ", plain_text(text)[:MAX_NAME])


def _deliver(message: EmailMessage) -> None:
    message.send()
