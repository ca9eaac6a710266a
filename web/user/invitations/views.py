"""The page of one invitation, where the user accepts or declines it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import User
from core import clock
from core.errors import DomainError, Invalid, NotFound
from core.http import SeeOther
from developers.invitations import (
    accept_invitation,
    decline_invitation,
    invitation_for_user,
    open_invitations_to,
    require_acceptable,
)
from developers.models import Invitation
from developers.role_words import ALLOWED, NAMES
from developers.selectors import membership_in
from web.requests.access import signed_in, user_actor, user_form


@user_form
def invitation(request: HttpRequest, invitation_id: str) -> HttpResponse:
    """Show the invitation, or what became of it. The page of an unknown one and of somebody else's is the same."""
    user = signed_in(request)
    try:
        if request.method != "POST":
            return _show(request, user, invitation_for_user(user, invitation_id))
        _decide(request, user, invitation_id)
    except NotFound:
        return render(request, "web/user/invitations/absent.html", status=404)
    except DomainError as error:
        return _show(request, user, invitation_for_user(user, invitation_id), error)
    return SeeOther(reverse("web:invitation", args=[invitation_id]))


def _decide(request: HttpRequest, user: User, invitation_id: str) -> None:
    """Make the decision of the button. Raises `Invalid` for any other value, and the errors of the services."""
    decide = {"accept": accept_invitation, "decline": decline_invitation}.get(request.POST.get("decision", ""))
    if decide is None:
        raise Invalid(_("Choose one of the buttons."))
    decide(actor=user_actor(request), user=user, invitation_id=invitation_id)


def _show(request: HttpRequest, user: User, found: Invitation, refusal: DomainError | None = None) -> HttpResponse:
    """Return the page. Without a refusal, an open invitation that cannot be accepted says why."""
    status, error = found.status_at(clock.now()), refusal
    if error is None and status == Invitation.Status.PENDING:
        error = _why_not(user, found)
    context: dict[str, Any] = {
        "invitation": found,
        "organization": found.organization,
        "role": NAMES[found.role],
        "allowed": ALLOWED[found.role],
        "error": error,
    }
    code = refusal.status if refusal else 200
    if status == Invitation.Status.PENDING:
        return render(request, "web/user/invitations/invitation.html", context, status=code)
    member = membership_in(user, found.organization_id)
    context |= {
        "status": status.value,
        "member_role": NAMES[member.role] if member else "",
        "other": open_invitations_to(user).filter(organization=found.organization).first(),
    }
    return render(request, "web/user/invitations/ended.html", context, status=code)


def _why_not(user: User, found: Invitation) -> DomainError | None:
    try:
        require_acceptable(found, user)
    except DomainError as error:
        return error
    return None
