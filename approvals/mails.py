"""Emails about requests that wait for their users.

A request is marked as notified before its mail is sent, so that two workers never both send it. A crash in between, or
a failure of the mail server, loses that mail; the request still waits on the user's page.
"""

import re
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.mails import mailed, send_mail
from accounts.models import User
from accounts.services import lock_user
from approvals.audiences import services_by_approval
from approvals.models import Approval
from approvals.selectors import in_force, scopes_of
from approvals.statuses import fixed_fields
from approvals.summaries import Act, Kind, Part, further_fields, summary_of
from core import clock
from core.actor import SYSTEM
from core.sweeps import BATCH
from core.zones import in_words
from resources.risks import RISK_WORDS

# Requests that are held back share one email per agent within this period.
BATCH_PERIOD = timedelta(hours=1)
VERB = re.compile(r"[A-Za-z][A-Za-z_-]{0,29}")
FIELD = re.compile(r"[A-Za-z][A-Za-z_-]{0,19}")
MAX_FIELDS = 8
# What an email may repeat from a request: an address, a host, a path or an id. Never a sentence, which could be a lure.
STATED = re.compile(r"[\w.+@:/#-]{1,60}")


def notify_users(*, limit: int = BATCH) -> int:
    """Email users about up to `limit` requests of each kind, and return the number of requests."""
    now = clock.now()
    unnotified = Approval.objects.filter(in_force(now), notified_at=None, status=Approval.Status.PENDING)
    alone = unnotified.filter(is_held=False).select_related("user", "agent", "consent__agent").order_by("created_at")
    notified = sum(_notify(approval, unnotified, now) for approval in alone[:limit])
    held = unnotified.filter(is_held=True).order_by().values_list("user", "agent").distinct()
    return notified + sum(_notify_batch(user_id, agent_id, unnotified, now) for user_id, agent_id in held[:limit])


@transaction.atomic
def _notify(approval: Approval, unnotified: QuerySet[Approval], now: datetime) -> int:
    notified = unnotified.filter(pk=approval.pk).update(notified_at=now)
    if notified and _wants_mails(approval.user):
        context = {
            "agent": mailed(approval.agent.name),
            "titles": [mailed(scope.title) for scope in scopes_of(approval)],
            "summary": mailed_sentence(approval),
            "risk": RISK_WORDS[Act.of(approval).risk],
            "service": mailed_service(approval),
            "fields": mailed_fields(approval),
            "approval": approval,
            "ends": in_words(approval.expires_at, approval.user.time_zone),
        }
        send_mail("approval_requested", to=approval.user.email, actor=SYSTEM, context=context)
    return notified


@transaction.atomic
def _notify_batch(user_id: str, agent_id: str, unnotified: QuerySet[Approval], now: datetime) -> int:
    """Email the user about all held requests of one agent, unless such an email was sent within `BATCH_PERIOD`."""
    lock_user(user_id)
    held = Approval.objects.filter(user=user_id, agent=agent_id, is_held=True)
    if held.filter(notified_at__gt=now - BATCH_PERIOD).exists():
        return 0
    notified = unnotified.filter(user=user_id, agent=agent_id, is_held=True).update(notified_at=now)
    one = held.select_related("user", "agent").first()
    if notified and one and _wants_mails(one.user):
        context: dict[str, Any] = {"agent": mailed(one.agent.name), "number": notified}
        send_mail("approvals_held", to=one.user.email, actor=SYSTEM, context=context)
    return notified


def mailed_summary(approval: Approval, *, is_ceiling: bool = False) -> str:
    """Return what the request would do, as an email may say it, or "" if an email may not repeat a part of it.

    With `is_ceiling`, the amount is the maximum that a standing approval allows.
    """
    summary = summary_of(approval)
    shown = {name: _mailed_part(name, part) for name, part in summary.parts.items()}
    if is_ceiling and shown.get("amount"):
        shown["amount"] = _("up to %(amount)s") % {"amount": shown["amount"]}
    return summary.template % shown if all(shown.values()) else ""


def mailed_sentence(approval: Approval, *, is_ceiling: bool = False) -> str:
    """Return the same, or the title of what the request would do if an email may not repeat a part of it."""
    return mailed_summary(approval, is_ceiling=is_ceiling) or mailed(Act.of(approval).title)


def mailed_fields(approval: Approval, *, only_fixed: bool = False) -> str:
    """Return the names of the fields that the request's sentence leaves out, on one line. Others are counted.

    With `only_fixed`, return only the fields that a standing approval fixes.
    """
    names = further_fields(approval) if mailed_summary(approval) else sorted(approval.context)
    if only_fixed:
        names = [name for name in names if name in fixed_fields(approval.context)]
    shown = [name for name in names if FIELD.fullmatch(name)][:MAX_FIELDS]
    left = len(names) - len(shown)
    more = ngettext("%(number)s more field", "%(number)s more fields", left) % {"number": left}
    return ", ".join([*shown, *([more] if left else [])])


def mailed_service(approval: Approval) -> str:
    """Return a sentence that names the service of the request."""
    services = services_by_approval([approval])[approval.pk]
    if services.service is None:
        return "" if services.is_authenticated else _("Unknown service.")
    service = services.service
    names = {name: mailed(getattr(service, name)) for name in ("name", "host", "organization")}
    if services.is_authenticated:
        return _("For the service %(name)s at %(host)s, of %(organization)s.") % names
    return _("Unconfirmed service: %(name)s at %(host)s, of %(organization)s.") % names


def _mailed_part(name: str, part: Part) -> str:
    if part.kind is Kind.OWN:
        return str(part.value)
    if part.kind is Kind.TITLE:
        return mailed(part.value)
    if part.kind is Kind.AMOUNT:
        return f"{part.value.value} {part.value.currency}"
    pattern = VERB if name == "verb" else STATED
    is_short = isinstance(part.value, str) and pattern.fullmatch(part.value) is not None
    return mailed(part.value) if is_short else ""


def _wants_mails(user: User) -> bool:
    return bool(user.is_active and user.approval_mails)
