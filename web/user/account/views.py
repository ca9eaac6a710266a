"""The user's profile, and which emails they get."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.choices import MAILS, change_profile, choose_mails
from accounts.recent import time_of_sign_in
from core import clock
from core.http import SeeOther
from developers.selectors import developer_for_user
from web.requests.access import signed_in, user_actor, user_page
from web.user.account.forms import MailsForm, ProfileForm


@require_http_methods(["GET", "HEAD", "POST"])
@user_page
def profile(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    form = ProfileForm(request.POST or None, initial={"name": user.name, "time_zone": user.time_zone})
    if form.is_valid():
        change_profile(actor=user_actor(request), user=user, **form.cleaned_data)
        messages.success(request, _("Your profile is saved."))
        return SeeOther(reverse("web:account"))
    context = {"form": form, "developer": developer_for_user(user), "now": clock.now()}
    return render(request, "web/user/account/profile.html", context, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@user_page
def notifications(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    if request.method == "POST":
        wanted = {name: name in request.POST for name in MAILS}
        signed_in_at = time_of_sign_in(request)
        choose_mails(actor=user_actor(request), user=user, wanted=wanted, signed_in_at=signed_in_at)
        messages.success(request, _("Your choices are saved."))
        return SeeOther(reverse("web:notifications"))
    form = MailsForm(initial={name: getattr(user, name) for name in MAILS})
    return render(request, "web/user/account/notifications.html", {"form": form})
