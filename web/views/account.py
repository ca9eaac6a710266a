"""The user's account, which emails they get, and their API sessions."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.selectors import sessions_for_user
from accounts.services import end_session, set_approval_mails
from core.http import SeeOther
from web.access import posted_from, signed_in, user_actor, user_page
from web.paging import paginate


@require_safe
@user_page
def account(request: HttpRequest) -> HttpResponse:
    page = paginate(request, sessions_for_user(signed_in(request)))
    return render(request, "web/account.html", {"page": page})


@posted_from("web:account")
@user_page
def end(request: HttpRequest, session_id: str) -> HttpResponse:
    end_session(actor=user_actor(request), user=signed_in(request), session_id=session_id)
    messages.success(request, _("Session ended. Its token no longer works."))
    return SeeOther(reverse("web:account"))


@posted_from("web:account")
@user_page
def mails(request: HttpRequest) -> HttpResponse:
    wanted = "approval_mails" in request.POST
    set_approval_mails(actor=user_actor(request), user=signed_in(request), wanted=wanted)
    messages.success(request, _("Saved."))
    return SeeOther(reverse("web:account"))
