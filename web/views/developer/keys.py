"""The developer's API keys."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from core.http import SeeOther
from developers.models import Developer
from developers.selectors import api_keys_for_developer
from developers.services import rotate_api_key
from web import once
from web.access import developer_actor, developer_page
from web.forms.agents import RotateForm


@require_http_methods(["GET", "HEAD", "POST"])
@developer_page
def api_keys(request: HttpRequest, developer: Developer) -> HttpResponse:
    """List the keys and show a new one once. POST creates a new key."""
    form = RotateForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        new = rotate_api_key(actor=developer_actor(request, developer), developer=developer, **form.cleaned_data)
        once.put(request, developer.id, new.value)
        return SeeOther(reverse("web:api-keys"))
    context = {
        "form": form,
        "keys": api_keys_for_developer(developer),
        "secret": once.take(request, developer.id),
    }
    return render(request, "web/developer/api_keys.html", context, status=422 if form.is_bound else 200)
