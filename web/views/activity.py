"""The user's own audit log, in sentences."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from audit.selectors import describe_for_user, entries_for_user
from consent.selectors import agents_of_user
from web.access import signed_in, user_page
from web.forms.filters import FilterForm
from web.names import add_names
from web.paging import paginate_log
from web.sentences import sentence


@require_safe
@user_page
def activity(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    form = FilterForm(request.GET, agents=agents_of_user(user))
    page = paginate_log(request, entries_for_user(user.id, form.filters()))
    entries = [
        {**entry, "row": row, "sentence": sentence(entry)}
        for entry, row in zip(add_names(describe_for_user(page.items, user.id)), page.items, strict=True)
    ]
    return render(request, "web/activity.html", {"form": form, "page": page, "entries": entries})
