"""Users download what the server stores about them."""

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.recent import require_recent_sign_in, time_of_sign_in
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core import clock
from limits.throttle import Subject, Throttle
from web.requests.access import posted_from, signed_in, user_actor, user_page
from web.user.account.collecting import collect


@require_safe
@user_page
def own_data(request: HttpRequest) -> HttpResponse:
    return render(request, "web/user/account/own_data.html")


@posted_from("web:own-data")
@user_page
def export(request: HttpRequest) -> HttpResponse:
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
