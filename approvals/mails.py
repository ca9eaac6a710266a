"""Emails about requests that wait for their users.

A request is marked as notified before its mail is sent, so that two workers never both send it. A crash in between, or
a failure of the mail server, loses that mail; the request still waits on the user's page.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from accounts.mail_text import Code, Foreign, Words
from accounts.mails import Content, Link, Occasion, mail, send_mail
from accounts.models import User
from accounts.services import lock_user
from agents.mails import asking_agent, risk_of, title_of
from agents.models import Agent
from approvals.audiences import services_by_approval
from approvals.models import Approval
from approvals.selectors import in_force, scopes_of
from approvals.statuses import fixed_fields
from approvals.summaries import THINGS, Act, Kind, Part, further_fields, more_things, readable_fields, summary_of
from consent.models import Consent
from core import clock
from core.actor import SYSTEM
from core.formats import exactly, money
from core.local import listed
from core.sweeps import BATCH

# Requests that are held back share one email per agent within this period.
BATCH_PERIOD = timedelta(hours=1)
VERB = re.compile(r"[A-Za-z][A-Za-z_-]{0,29}")
FIELD = re.compile(r"[A-Za-z][A-Za-z_-]{0,19}")
MAX_FIELDS = 8
MAX_TITLE = 120
# What an email may repeat from a request: an address, a host, a path or an id. Never a sentence, which could be a lure.
STATED = re.compile(r"[\w.+@:/#-]{1,60}")


def notify_users(*, limit: int = BATCH) -> int:
    """Email users about up to `limit` requests of each kind, and return the number of requests."""
    now = clock.now()
    unnotified = Approval.objects.filter(in_force(now), notified_at=None, status=Approval.Status.PENDING)
    alone = (
        unnotified.filter(is_held=False)
        .select_related("user", "agent__organization", "consent__agent__organization")
        .order_by("created_at")
    )
    notified = sum(_notify(approval, unnotified, now) for approval in alone[:limit])
    held = unnotified.filter(is_held=True).order_by().values_list("user", "consent__agent").distinct()
    return notified + sum(_notify_batch(user_id, agent_id, unnotified, now) for user_id, agent_id in held[:limit])


@transaction.atomic
def _notify(approval: Approval, unnotified: QuerySet[Approval], now: datetime) -> int:
    notified = unnotified.filter(pk=approval.pk).update(notified_at=now)
    if notified and _wants_mails(approval.user):
        send_mail("approval_requested", user=approval.user, actor=SYSTEM, facts={"approval": approval})
    return notified


@transaction.atomic
def _notify_batch(user_id: str, agent_id: str, unnotified: QuerySet[Approval], now: datetime) -> int:
    """Email the user about all held requests of a connection, unless such an email was sent within `BATCH_PERIOD`."""
    lock_user(user_id)
    consents = Consent.objects.filter(user=user_id, agent=agent_id)
    held = Approval.objects.filter(consent__in=consents, is_held=True)
    if held.filter(notified_at__gt=now - BATCH_PERIOD).exists():
        return 0
    notified = unnotified.filter(consent__in=consents, is_held=True).update(notified_at=now)
    one = held.select_related("user", "consent__agent__organization").first()
    if notified and one and _wants_mails(one.user):
        facts = {"agent": one.consent.agent, "number": notified}
        send_mail("approvals_held", user=one.user, actor=SYSTEM, facts=facts)
    return notified


@mail("approval_requested")
def approval_requested(occasion: Occasion) -> Content:
    approval: Approval = occasion.facts["approval"]
    agent = asking_agent(approval.agent)
    things = things_in(approval)
    return Content(
        subject=_("An agent asks for your approval"),
        agent=agent,
        above=Words(_("%(agent)s asks for your approval:"), agent=agent.name),
        act=act_in_words(approval),
        risk=risk_of(Act.of(approval).risk),
        facts=[
            *((_("Permission"), title_of(scope.id, scope.title)) for scope in scopes_of(approval)),
            *_givers(approval),
            *service_facts(approval),
            *([(_("Details"), Words(_("with %(things)s"), things=things))] if things else []),
            (_("Code"), Code(approval.code)),
            (_("Decide until"), exactly(approval.expires_at, "short")),
        ],
        button=Link.to(_("See the request"), "web:approval", approval.id),
        after=[_("There you approve or deny it. If you do nothing, it is denied.")],
        ends=True,
    )


@mail("approvals_held")
def approvals_held(occasion: Occasion) -> Content:
    number = occasion.facts["number"]
    waiting = ngettext("%(number)s more request waits for you.", "%(number)s more requests wait for you.", number)
    return Content(
        subject=_("An agent asks for many approvals"),
        agent=asking_agent(occasion.facts["agent"]),
        intro=[
            _("It has asked for your approval more than five times within an hour."),
            waiting % {"number": number},
        ],
        button=Link.to(_("See the requests"), "web:approvals"),
        after=[_("You can deny them together. If you do nothing, they are denied.")],
        ends=True,
    )


def summary_in_words(approval: Approval, *, is_ceiling: bool = False) -> str:
    """Return what the request would do, as an email may say it, or "" if an email may not repeat a part of it.

    With `is_ceiling`, the amount is the maximum that a standing approval allows.
    """
    summary = summary_of(approval)
    shown = {name: _part_in_words(name, part) for name, part in summary.parts.items()}
    if is_ceiling and shown.get("amount"):
        shown["amount"] = _("up to %(amount)s") % {"amount": shown["amount"]}
    return Words(summary.template, **shown) if all(shown.values()) else ""


def act_in_words(approval: Approval, *, is_ceiling: bool = False) -> str:
    """Return the same, or the title of what the request would do if an email may not repeat a part of it."""
    return summary_in_words(approval, is_ceiling=is_ceiling) or Foreign(Act.of(approval).title, most=MAX_TITLE)


def things_in(approval: Approval) -> str:
    """Return what the request's sentence leaves out, in our words or by its name, on one line. The rest is counted."""
    shown, left = _split(readable_fields(approval) if summary_in_words(approval) else sorted(approval.context))
    return listed([*(str(THINGS.get(name, name)) for name in shown), *([more_things(left)] if left else [])])


def fixed_names(approval: Approval) -> str:
    """Return the names of the further fields that a standing approval fixes, on one line. The rest is counted."""
    fixed = fixed_fields(approval.context)
    names = further_fields(approval) if summary_in_words(approval) else sorted(approval.context)
    shown, left = _split([name for name in names if name in fixed])
    more = ngettext("%(number)s more field", "%(number)s more fields", left) % {"number": left}
    return listed([*shown, *([more] if left else [])])


def service_facts(approval: Approval) -> list[tuple[str, str]]:
    """Return the service of the request, and whether the caller proved to be it."""
    services = services_by_approval([approval])[approval.pk]
    service = services.service
    if service is None:
        return [] if services.is_authenticated else [(_("Service"), pgettext("service", "unknown"))]
    values = {name: Foreign(getattr(service, name)) for name in ("name", "host", "organization")}
    named = Words(_("%(name)s at %(host)s (%(organization)s)"), **values)
    return [(_("Service") if services.is_authenticated else _("Unconfirmed service"), named)]


def _givers(approval: Approval) -> list[tuple[str, str]]:
    """Return the agents that handed the work on before it came to the one that asks, in order."""
    names = dict(Agent.objects.filter(pk__in=approval.chain_agents).values_list("pk", "name")) if approval.chain else {}
    return [(_("Handed on by"), Foreign(names.get(one, one))) for one in approval.chain_agents[:-1]]


def _split(names: Sequence[str]) -> tuple[list[str], int]:
    """Return the fields that an email may name, and how many others there are."""
    shown = [name for name in names if FIELD.fullmatch(name)][:MAX_FIELDS]
    return shown, len(names) - len(shown)


def _part_in_words(name: str, part: Part) -> str:
    if part.kind is Kind.OWN:
        return str(part.value)
    if part.kind is Kind.TITLE:
        return Foreign(part.value, most=MAX_TITLE)
    if part.kind is Kind.AMOUNT:
        return money(part.value._asdict())
    pattern = VERB if name == "verb" else STATED
    is_short = isinstance(part.value, str) and pattern.fullmatch(part.value) is not None
    return Foreign(part.value) if is_short else ""


def _wants_mails(user: User) -> bool:
    return bool(user.is_active and user.approval_mails)
