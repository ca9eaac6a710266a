"""What waits for the user's approval, and the page on which the user decides it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from accounts.recent import time_of_sign_in
from agents.errors import AgentSuspended, EverythingStopped
from agents.models import Agent
from consent.approval_selectors import approval_for_user, approvals_for_user, in_force, with_status
from consent.approvals import approve_approval, deny_approval, deny_held, require_active, revoke_approval
from consent.errors import ApprovalAlreadyDecided, ApprovalExpired, ConnectionInactive
from consent.models import Approval
from core import clock
from core.errors import DomainError, Invalid
from core.http import SeeOther
from developers.errors import OrganizationSuspended
from web.access import posted_from, signed_in, user_actor, user_page
from web.asked import Asked, describe
from web.paging import paginate

# Verify asks for at most 100 per agent and hour.
MAX_WAITING = 200
INACTIVE = (ConnectionInactive, AgentSuspended, OrganizationSuspended, EverythingStopped)


@dataclass(frozen=True, slots=True)
class Batch:
    """The requests of one agent that were held back."""

    agent: Agent
    items: list[Asked]


@require_safe
@user_page
def approvals(request: HttpRequest) -> HttpResponse:
    now, mine = clock.now(), approvals_for_user(signed_in(request))
    waiting = with_status(mine, Approval.Status.PENDING, now)
    page = paginate(request, mine.exclude(in_force(now), status=Approval.Status.PENDING))
    shown, held = ([], []) if page.cursor else (_described(waiting, is_held=held) for held in (False, True))
    context = {
        "page": page,
        "waiting": shown,
        "batches": _batches(held),
        "past": [describe(approval, now) for approval in page.items],
    }
    return render(request, "web/approvals.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@user_page
def approval(request: HttpRequest, approval_id: str) -> HttpResponse:
    """Show the request, or what became of it. A second decision shows the outcome of the first."""
    found = approval_for_user(signed_in(request), approval_id)
    if request.method != "POST":
        return _show(request, found, _why_inactive(request, found))
    try:
        _decide(request, found)
    except (ApprovalAlreadyDecided, ApprovalExpired, Invalid, *INACTIVE) as error:
        found = approval_for_user(signed_in(request), approval_id)
        return _show(request, found, error, status=error.status)
    return SeeOther(reverse("web:approval", args=[found.id]))


@posted_from("web:approvals")
@user_page
def deny_batch(request: HttpRequest) -> HttpResponse:
    number = deny_held(actor=user_actor(request), user=signed_in(request), agent_id=request.POST.get("agent", ""))
    text = ngettext("%(number)s request denied.", "%(number)s requests denied.", number)
    messages.success(request, text % {"number": number})
    return SeeOther(reverse("web:approvals"))


@posted_from("web:approval", "approval_id")
@user_page
def revoke(request: HttpRequest, approval_id: str) -> HttpResponse:
    found = approval_for_user(signed_in(request), approval_id)
    revoke_approval(actor=user_actor(request), approval=found, user=signed_in(request))
    messages.success(request, _("Approval revoked. The agent must ask you again."))
    return SeeOther(reverse("web:approval", args=[approval_id]))


def _decide(request: HttpRequest, found: Approval) -> None:
    """Take the decision of the button. Raises `Invalid` for any other, and the errors of the services."""
    decision, user, actor = request.POST.get("decision"), signed_in(request), user_actor(request)
    if decision in ("deny", "pause"):
        deny_approval(actor=actor, approval=found, user=user, pause_agent=decision == "pause")
        return
    if decision not in ("once", "target"):
        raise Invalid(_("Choose one of the buttons."))
    for_target = decision == "target"
    approve_approval(
        actor=actor,
        approval=found,
        user=user,
        signed_in_at=time_of_sign_in(request),
        for_target=for_target,
        expires_in_seconds=_seconds(request) if for_target else None,
    )


def _seconds(request: HttpRequest) -> int | None:
    sent = request.POST.get("seconds", "")
    return int(sent) if sent.isascii() and sent.isdigit() and len(sent) < 10 else None


def _why_inactive(request: HttpRequest, found: Approval) -> DomainError | None:
    """Return why a request that waits can only be denied. None if it can be approved, or was decided."""
    now = clock.now()
    if found.status_at(now) != Approval.Status.PENDING:
        return None
    try:
        require_active(found, signed_in(request), now)
    except INACTIVE as error:
        return error
    return None


def _show(request: HttpRequest, found: Approval, error: DomainError | None, *, status: int = 200) -> HttpResponse:
    context = {
        "asked": describe(found, clock.now()),
        "error": error,
        "can_approve": not isinstance(error, INACTIVE),
        "is_second": isinstance(error, ApprovalAlreadyDecided),
    }
    return render(request, "web/approval.html", context, status=status)


def _described(waiting: Any, *, is_held: bool) -> list[Asked]:
    now = clock.now()
    return [describe(approval, now) for approval in waiting.filter(is_held=is_held)[:MAX_WAITING]]


def _batches(held: Sequence[Asked]) -> list[Batch]:
    def agent_of(asked: Asked) -> str:
        return str(asked.approval.agent_id)

    groups = [list(group) for _, group in groupby(sorted(held, key=agent_of), key=agent_of)]
    return [Batch(group[0].approval.agent, group) for group in groups]
