"""Why a request was allowed: what its user approved or, if they were not asked, what they had allowed."""

from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from consent.approval_selectors import approvals_for_user
from consent.models import Approval, Consent
from consent.terms import ASK, DATA_FLOW, DENY
from resources.catalogue import OUTBOUND, describe_scopes
from web.ledger.items import Item

GUARDS: dict[str, Any] = {
    ASK: gettext_lazy(
        "“Protect your data” asks you before this agent sends anything out only if it has read both your private data "
        "and what others wrote for the same task in the last 24 hours."
    ),
    DENY: gettext_lazy(
        "“Protect your data” denies what this agent would send out only if it has read both your private data and what "
        "others wrote for the same task in the last 24 hours."
    ),
}


@dataclass(frozen=True, slots=True)
class Allowance:
    """Sentences, and the page of the approval. `url` is empty if there was none, or if it is deleted by now."""

    sentences: list[str]
    url: str = ""


def find_allowance(item: Item, user: User) -> Allowance | None:
    """Return why the request was allowed, or None if the entry is about something else."""
    if not item.is_call or item.is_denied:
        return None
    approval_id = item.content["metadata"].get("approvalId")
    if approval_id is None:
        return Allowance([_("You had allowed this agent to do this without asking you."), *_guard_of(item)])
    approval = approvals_for_user(user).filter(pk=approval_id).first()
    return Allowance([_approved(approval)], reverse("web:approval", args=[approval_id]) if approval else "")


def _approved(approval: Approval | None) -> str:
    if approval is not None and approval.is_rule:
        return _("A rule that follows from your answers allowed it without asking you.")
    if approval is not None and approval.is_standing:
        return _("You had approved it for a time, so you were not asked again.")
    return _("You approved it.")


def _guard_of(item: Item) -> list[str]:
    """Return how the guard of the connection concerns the request, or nothing if it sent nothing out."""
    if not any(OUTBOUND in scope.labels for scope in describe_scopes(item.content["scopes"])):
        return []
    terms = Consent.objects.filter(pk=item.content["consentId"]).values_list("terms", flat=True).first() or {}
    guard = terms.get("guards", {}).get(DATA_FLOW)
    return [str(GUARDS[guard])] if guard else []
