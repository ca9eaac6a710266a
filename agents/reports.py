"""Reports about agents by users. Administrators read and review them; the agent's developer does not see them."""

from datetime import timedelta

from django.conf import settings
from django.db import models, transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.services import hold_account
from agents.models import Agent, ReportedAgent
from audit.entries.drafts import Draft
from audit.events import Event
from audit.readers.reading import AuditEntry
from audit.selectors import Filters, entries_for_user
from audit.services import record
from core import clock
from core.actor import Actor
from limits.throttle import Subject, Throttle

# A user reports an agent once within this time.
ONCE = timedelta(days=1)
MAX_TEXT = 500


class Concern(models.TextChoices):
    """Why a user reports an agent."""

    HARMFUL = "harmful", _("It did something harmful, or something that I did not want.")
    DECEPTIVE = "deceptive", _("It pretends to be another agent or company.")
    EXCESSIVE = "excessive", _("It asks for more than it needs, or asks too often.")
    OTHER = "other", _("Something else")


def report_agent(*, actor: Actor, user: User, agent: Agent, concern: Concern, text: str = "") -> str:
    """Report the agent to the administrators. Return the id of the report, or of the user's earlier one in `ONCE`.

    The log stores the text as what a person typed: it is erased with the account. The report is in the user's log, and
    not in that of the agent's organization. Raises `Throttled` beyond `THROTTLE_REPORTS`, and `NotAuthenticated` if the
    account has changed. Call it outside any transaction.
    """
    Throttle("report", settings.THROTTLE_REPORTS).hit(Subject(f"user:{user.id}"))
    typed = {"reason": text} if text else {}
    with transaction.atomic():
        held = hold_account(user)
        if earlier := find_report(held.id, agent.id):
            return earlier.id
        mark_reported(agent.id)
        return record(
            Draft(
                event=Event.AGENT_REPORTED,
                actor=actor,
                user_id=held.id,
                agent_id=agent.id,
                metadata={"concern": concern.value, **typed},
            )
        )


def find_report(user_id: str, agent_id: str) -> AuditEntry | None:
    """Return the user's report about the agent in the last `ONCE`, or None."""
    wanted = Filters(agent_id=agent_id, event=Event.AGENT_REPORTED, since=clock.now() - ONCE)
    return next(iter(entries_for_user(user_id, wanted)), None)


def mark_reported(agent_id: str) -> None:
    """Count the report until an administrator reviews it. Call it in the report's transaction."""
    rows, now = ReportedAgent.objects.filter(pk=agent_id), clock.now()
    while not rows.update(number=F("number") + 1, reported_at=now):
        first = ReportedAgent(agent_id=agent_id, number=0, reported_at=now)
        ReportedAgent.objects.bulk_create([first], ignore_conflicts=True)


@transaction.atomic
def review_reports(*, actor: Actor, agent: Agent, reason: str) -> bool:
    """Note that an administrator has reviewed the reports about the agent. Return False if there are none to review."""
    deleted, _rows = ReportedAgent.objects.filter(agent=agent.pk).delete()
    if deleted:
        # Its organization does not read it, because it would learn of the reports.
        record(Draft(event=Event.AGENT_REVIEWED, actor=actor, agent_id=agent.id, metadata={"reason": reason}))
    return bool(deleted)
