"""The page of one request, where the user decides it."""

from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from accounts.recent import is_recent, time_of_sign_in
from approvals.errors import ApprovalAlreadyDecided, ApprovalExpired, ConnectionInactive
from approvals.history import History, read_history, standing_for_user
from approvals.models import Approval
from approvals.selectors import approval_for_user, approvals_for_user
from approvals.services import approve_approval, deny_approval, require_active, revoke_approval
from audit.selectors import Filters, entries_for_user
from core import clock
from core.errors import DomainError, Invalid, NotFound
from core.formats import number
from core.http import SeeOther
from web.forms.fields import read_whole
from web.requests.access import for_users, posted_from, signed_in, user_actor, user_form
from web.requests.ids import ID
from web.user.activity.items import read_items
from web.user.activity.kinds import ROUTINE
from web.user.approvals.asked import describe
from web.user.approvals.outcomes import next_request, title_of
from web.user.approvals.problems import INACTIVE, problem_of
from web.user.approvals.rules import rule_about

RECENT = 5


@user_form
def approval(request: HttpRequest, approval_id: str) -> HttpResponse:
    """Show the request or its outcome. A second decision shows the outcome of the first."""
    try:
        found = approval_for_user(signed_in(request), approval_id)
    except NotFound:
        return render(request, "web/user/approvals/approval_absent.html", status=404)
    if request.method != "POST":
        return _show(request, found)
    try:
        _decide(request, found)
    except (ApprovalAlreadyDecided, ApprovalExpired, Invalid, *INACTIVE) as error:
        found = approval_for_user(signed_in(request), approval_id)
        return _show(request, found, error, status=error.status)
    return SeeOther(outcome_url(found.id))


@posted_from("web:approval", "approval_id")
@for_users
def revoke(request: HttpRequest, approval_id: str) -> HttpResponse:
    """End an approval for a time or a rule, and redirect back to the page with the button."""
    found = approval_for_user(signed_in(request), approval_id)
    revoke_approval(actor=user_actor(request), approval=found, user=signed_in(request))
    messages.success(request, _("Undone. The agent must ask you again."))
    return SeeOther(page_of(request, found))


def page_of(request: HttpRequest, found: Approval) -> str:
    """Return the page that `back` names: the list, the connection, or an approval of the user. By default, `found`."""
    back = request.POST.get("back", "")
    if back == "connection":
        return reverse("web:connection", args=[found.consent_id])
    if back == "list":
        return reverse("web:approvals")
    owned = ID.fullmatch(back) and approvals_for_user(signed_in(request)).filter(pk=back).exists()
    return f"{reverse('web:approval', args=[back])}#less" if owned else outcome_url(found.id)


def outcome_url(approval_id: str) -> str:
    """Return the URL of a request's page, where the browser moves the focus to the outcome."""
    return f"{reverse('web:approval', args=[approval_id])}#outcome"


def _decide(request: HttpRequest, found: Approval) -> None:
    """Make the decision of the button. Raises `Invalid` for any other value, and the errors of the services."""
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
        expires_in_seconds=read_whole(request.POST.get("seconds", "")) if for_target else None,
    )


def _why_inactive(found: Approval, user: User, now: datetime) -> DomainError | None:
    """Return why the agent could not use an approval or a rule now. None if it could."""
    try:
        require_active(found, user, now)
    except INACTIVE as error:
        return error
    return None


def _waits_for_all(found: Approval, user: User, error: DomainError | None) -> bool:
    """Return whether the request can be approved as soon as the user resumes all agents."""
    is_by_itself = found.consent.paused_at is not None
    return isinstance(error, ConnectionInactive) and user.agents_paused_at is not None and not is_by_itself


def _show(
    request: HttpRequest, found: Approval, error: DomainError | None = None, *, status: int = 200
) -> HttpResponse:
    """Return the page. Without an error, it says why a pending request can only be denied, if that is so."""
    user, now = signed_in(request), clock.now()
    is_pending = found.status_at(now) == Approval.Status.PENDING
    if error is None and is_pending:
        error = _why_inactive(found, user, now)
    waits_for_all = _waits_for_all(found, user, error)
    asked, can_approve = describe(found, now), not isinstance(error, INACTIVE)
    context = {
        "asked": asked,
        "title": title_of(found, asked.status, asked.who_in_words),
        "next": None if is_pending else next_request(user, found, now),
        # Before a decision, the banner says enough.
        "problem": None if waits_for_all and status == 200 else problem_of(error, found, waits_for_all=waits_for_all),
        "all_paused_at": user.agents_paused_at,
        "can_approve": can_approve,
        "asks_password": can_approve and asked.is_critical and not is_recent(time_of_sign_in(request)),
        **_beside(user, found, now, error),
    }
    return render(request, "web/user/approvals/approval.html", context, status=status)


def _beside(user: User, found: Approval, now: datetime, error: DomainError | None) -> dict[str, Any]:
    """Return what helps to decide: what the agent did, how often it asked, and the rule that could answer instead."""
    history = read_history(user, now, agent_id=found.consent.agent_id)
    is_live = found.consent.status_at(now) == found.consent.Status.APPROVED
    may_offer = partial(_may_offer, found, user, now, error)
    entries, _older = entries_for_user(user.id, Filters(agent_id=found.agent_id), hidden=ROUTINE).page("", RECENT)
    return {
        "rule": rule_about(found, history, standing_for_user(user, now), may_offer) if is_live else None,
        "asks": _how_often(history),
        "recent": read_items(entries, user.id, agent_names={found.agent_id: found.agent.name}, with_services=False),
    }


def _how_often(history: History) -> str:
    """Return how often the agent asked, and how often it was approved, in a sentence."""
    if history.is_cut:
        return _("Asked you more than %(number)s times in the last 30 days.") % {"number": number(history.number)}
    if history.number == 1:
        return _("The first time in 30 days that it asks for your approval.")
    text = ngettext(
        "Asked you %(number)s time in 30 days, you approved %(approved)s.",
        "Asked you %(number)s times in 30 days, you approved %(approved)s.",
        history.number,
    )
    return text % {"number": number(history.number), "approved": number(history.approved)}


def _may_offer(found: Approval, user: User, now: datetime, error: DomainError | None) -> bool:
    """Return whether the agent could use a rule now. For a pending request, the page's error already says so."""
    if found.status_at(now) == Approval.Status.PENDING:
        return not isinstance(error, INACTIVE)
    return _why_inactive(found, user, now) is None
