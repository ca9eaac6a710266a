"""Why a request was allowed: because the user approved it or, if not asked, had already allowed it."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from approvals.models import Approval
from approvals.selectors import approvals_for_user
from resources.catalogue import OUTBOUND, Scope
from web.user.activity.items import Item

GUARD = gettext_lazy(
    "If you have chosen to “Protect your data”, it asks or denies only after the agent has read both your private data "
    "and what others wrote, for the same task, in the last 24 hours."
)


@dataclass(frozen=True, slots=True)
class Allowance:
    """Sentences, and the page of the approval. `url` is empty if there was no approval or it has been deleted."""

    sentences: list[str]
    url: str = ""


def find_allowance(item: Item, scopes: Iterable[Scope], user: User) -> Allowance | None:
    """Return why the request for these scopes was allowed. None if the entry is about something else."""
    if not item.is_call or item.is_denied:
        return None
    approval_id = item.content["metadata"].get("approvalId")
    if approval_id is None:
        sends = any(OUTBOUND in scope.labels for scope in scopes)
        return Allowance([_("You had allowed this agent to do this without asking you."), *([str(GUARD)] * sends)])
    approval = approvals_for_user(user).filter(pk=approval_id).first()
    return Allowance([_approved(approval)], reverse("web:approval", args=[approval_id]) if approval else "")


def _approved(approval: Approval | None) -> str:
    if approval is not None and approval.is_rule:
        return _("A rule that follows from your answers allowed it without asking you.")
    if approval is not None and approval.is_standing:
        return _("You had approved it for a time, so you were not asked again.")
    return _("You approved it.")
