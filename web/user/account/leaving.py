"""Users leave an organization."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from core.errors import NotFound
from core.http import SeeOther
from core.text import plain_text
from developers import members
from developers.errors import LastOwner
from developers.invitations import open_invitations_of
from developers.models import Developer
from developers.selectors import api_keys_for_developer, membership_in
from web.requests.access import signed_in, user_actor, user_form


@user_form
def leave(request: HttpRequest, organization_id: str) -> HttpResponse:
    """Say what ends, and end the membership. The last owner cannot leave."""
    member = membership_in(signed_in(request), organization_id)
    if member is None:
        raise NotFound("No such membership.")
    if request.method != "POST":
        return _show(request, member)
    try:
        members.leave(actor=user_actor(request), member=member)
    except LastOwner as error:
        return _show(request, member, is_last=True, status=error.status)
    text = _("You have left %(organization)s.") % {"organization": plain_text(member.organization.name)}
    messages.success(request, text)
    return SeeOther(reverse("web:account") + "#organizations")


def _show(request: HttpRequest, member: Developer, *, is_last: bool = False, status: int = 200) -> HttpResponse:
    invited = open_invitations_of(member.organization_id).filter(invited_by=member)
    context = {
        "title": _("Leave %(organization)s?") % {"organization": plain_text(member.organization.name)},
        "confirm_label": _("Leave the organization"),
        "back_url": reverse("web:account") + "#organizations",
        "keys": api_keys_for_developer(member).count(),
        "has_invited": invited.exists(),
        "is_last": is_last,
    }
    return render(request, "web/user/account/leave.html", context, status=status)
