"""The developer credentials that were created with the user's account and outlive its sessions, and how to end them."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from agents.issued import end_issued, issued_since
from core.http import SeeOther
from developers.selectors import developer_for_user
from web.requests.access import signed_in, user_actor, user_page
from web.user.account.issued_form import SinceForm


@require_http_methods(["GET", "HEAD", "POST"])
@user_page
def issued(request: HttpRequest) -> HttpResponse:
    """List what was created since a date, by default 30 days ago. POST ends all of it."""
    developer = developer_for_user(signed_in(request))
    form = SinceForm(request.POST if request.method == "POST" else request.GET)
    is_valid = form.is_valid()
    if request.method == "POST" and is_valid and developer:
        ended = end_issued(actor=user_actor(request), developer=developer, since=form.moment)
        text = ngettext("%(number)s credential ended.", "%(number)s credentials ended.", ended)
        messages.success(request, text % {"number": ended})
        return SeeOther(f"{reverse('web:issued')}?since={form.cleaned_data['since']:%Y-%m-%d}")
    context = {
        "form": form,
        "is_developer": developer is not None,
        "issued": issued_since(developer, form.moment) if developer and is_valid else None,
        "since": form.moment if is_valid else None,
    }
    return render(request, "web/user/account/issued.html", context, status=200 if is_valid else 422)
