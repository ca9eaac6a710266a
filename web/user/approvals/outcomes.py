"""What the page of a request says in its title, and what follows a decision."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from accounts.models import User
from approvals.models import Approval
from approvals.selectors import waiting_for_user
from approvals.summaries import summary_of
from web.user.approvals.headlines import say_plainly

# More requests than this are counted as this many.
MOST_COUNTED = 99


@dataclass(frozen=True, slots=True)
class Next:
    """The request that the user decides next, and how many wait."""

    approval_id: str
    number: int


def next_request(user: User, decided: Approval, now: datetime) -> Next | None:
    """Return the waiting request that ends first, other than the decided one, or None if no other waits."""
    waiting = waiting_for_user(user, now).exclude(pk=decided.pk).order_by("is_held", "expires_at", "pk")
    ids = list(waiting.values_list("pk", flat=True)[:MOST_COUNTED])
    return Next(ids[0], len(ids)) if ids else None


def title_of(approval: Approval, status: str, who: str) -> str:
    """Return the title of the page: what the agent asks for, or how that was decided. `who` asks."""
    named = {"request": say_plainly(summary_of(approval)), "agent": who}
    if status == Approval.Status.PENDING:
        return _("%(agent)s asks: %(request)s") % named
    if approval.is_rule and status == Approval.Status.APPROVED:
        return _("Allowed without asking: %(request)s") % named
    if status in (Approval.Status.APPROVED, Approval.Status.USED):
        return _("Approved: %(request)s") % named
    if status == Approval.Status.DENIED:
        return _("Denied: %(request)s") % named
    return (_("Ended: %(request)s") if approval.decided_at else _("Not decided in time: %(request)s")) % named
