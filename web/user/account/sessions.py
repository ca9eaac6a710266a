"""The user's browser and API sessions."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.selectors import browser_session_id
from accounts.session_ends import end_other_sessions, end_session
from accounts.session_list import live_sessions
from core.http import SeeOther
from web.requests.access import for_users, posted_from, signed_in, user_actor, user_page

PAGE_SIZE = 25


@user_page
def sessions(request: HttpRequest) -> HttpResponse:
    found = live_sessions(signed_in(request), current_key=request.session.session_key)
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    others = sum(not one.is_current for one in found)
    return render(request, "web/user/account/sessions.html", {"page": page, "others": others})


@posted_from("web:sessions")
@for_users
def end(request: HttpRequest, session_id: str) -> HttpResponse:
    """End a session. The browser's own session ends on the sign-out page."""
    if session_id == browser_session_id(request.session.session_key or ""):
        return redirect("account_logout")
    end_session(actor=user_actor(request), user=signed_in(request), session_id=session_id)
    messages.success(request, _("The session has ended. It no longer has access."))
    return SeeOther(reverse("web:sessions"))


@posted_from("web:sessions")
@for_users
def end_others(request: HttpRequest) -> HttpResponse:
    ended = end_other_sessions(actor=user_actor(request), user=signed_in(request), kept_key=request.session.session_key)
    text = ngettext("%(number)s other session has ended.", "%(number)s other sessions have ended.", ended)
    messages.success(request, text % {"number": ended})
    return SeeOther(reverse("web:sessions"))
