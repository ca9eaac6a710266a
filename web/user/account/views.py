"""The user's profile, which emails they get, and the download of what the server stores about them."""

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.choices import MAILS, change_profile, choose_mails
from accounts.recent import require_recent_sign_in, time_of_sign_in
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core import clock
from core.http import SeeOther
from core.languages import language_of
from developers.invitations import open_invitations_to
from developers.selectors import memberships_of
from limits.throttle import Subject, Throttle
from web.requests.access import for_users, posted_from, signed_in, user_actor, user_form, user_page
from web.user.account.collecting import collect
from web.user.account.forms import MailsForm, ProfileForm


@user_form
def profile(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    initial = {"name": user.name, "time_zone": user.time_zone, "language": user.language}
    form = ProfileForm(request.POST or None, initial=initial)
    if form.is_valid():
        change_profile(actor=user_actor(request), user=user, **form.cleaned_data)
        with language_of(form.cleaned_data["language"] or get_language()):
            messages.success(request, _("Your profile is saved."))
        return SeeOther(reverse("web:account"))
    context = {
        "form": form,
        "memberships": memberships_of(user),
        "invitations": open_invitations_to(user),
        "now": clock.now(),
    }
    return render(request, "web/user/account/profile.html", context, status=422 if form.is_bound else 200)


@user_form
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


@user_page
def own_data(request: HttpRequest) -> HttpResponse:
    return render(request, "web/user/account/own_data.html")


@posted_from("web:own-data")
@for_users
def export_own_data(request: HttpRequest) -> HttpResponse:
    """Send the data as a file. Requires a recent sign-in, counts as an export and is logged."""
    require_recent_sign_in(time_of_sign_in(request))
    user, now = signed_in(request), clock.now()
    Throttle("export", settings.THROTTLE_EXPORT).hit(Subject(f"user:{user.id}"))
    with transaction.atomic():
        record(Draft(event=Event.USER_DATA_EXPORTED, actor=user_actor(request), user_id=user.id))
        content = collect(user, now)
    name = f"agentgate-data-{now:%Y%m%dT%H%M%SZ}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return JsonResponse(content, headers=headers, json_dumps_params={"indent": 2, "ensure_ascii": False})
