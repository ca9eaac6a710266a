"""End what an agent has handed to another one."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from core import clock
from core.http import SeeOther
from core.text import plain_text
from tokens.delegation_selectors import delegation_for_user
from tokens.delegations import end_delegation
from web.requests.access import signed_in, user_actor, user_form
from web.user.connections.handed import what_ends


@user_form
def cut_off(request: HttpRequest, delegation_id: str) -> HttpResponse:
    """Say what ends with it, or end it. What has ended already leads to the connection."""
    delegation = delegation_for_user(signed_in(request), delegation_id)
    back_url, name = reverse("web:connection", args=[delegation.consent_id]), plain_text(delegation.to_agent.name)
    if request.method == "POST":
        end_delegation(actor=user_actor(request), delegation=delegation)
        message = _("Cut off. %(agent)s can no longer do for you what was handed to it.")
        messages.success(request, message % {"agent": name})
        return SeeOther(back_url)
    ending = what_ends(delegation, clock.now())
    if ending is None:
        messages.info(request, _("This has already ended."))
        return redirect(back_url)
    context = {
        "ending": ending,
        "title": _("Cut off %(agent)s?") % {"agent": name},
        "confirm_label": _("Cut off"),
        "back_url": back_url,
    }
    return render(request, "web/user/connections/cut_off.html", context)
