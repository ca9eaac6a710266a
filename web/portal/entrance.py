"""The way into the portal: becoming a developer, and the organization to open if the URL names none."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.encoding import escape_uri_path
from django.views.decorators.http import require_safe

from accounts.recent import time_of_sign_in
from core.http import SeeOther
from developers.services import join_as_developer
from web.portal.agents.forms import DeveloperForm
from web.requests import once
from web.requests.access import for_users, signed_in, user_actor, user_form
from web.requests.kept_post import keeps_form, take_initial
from web.requests.portal import last_membership, portal_url


@user_form
@keeps_form
def enter(request: HttpRequest) -> HttpResponseBase:
    """Redirect members to the overview of their organization. Let others become developers."""
    developer = last_membership(request, signed_in(request))
    if developer is not None:
        return _to_organization(request, developer.organization_id, "")
    initial = {"name": signed_in(request).name, **take_initial(request, DeveloperForm)}
    form = DeveloperForm(request.POST if request.method == "POST" else None, initial=initial)
    if not form.is_valid():
        status = 422 if form.is_bound else 200
        return render(request, "web/portal/overview/join.html", {"form": form}, status=status)
    new = join_as_developer(
        actor=user_actor(request),
        user=signed_in(request),
        name=form.cleaned_data["name"],
        signed_in_at=time_of_sign_in(request),
    )
    once.put(request, new.developer.id, new.api_key)
    return SeeOther(portal_url(new.developer.organization_id, "api-keys"))


@require_safe
@for_users
def find(request: HttpRequest, rest: str) -> HttpResponse:
    """Redirect from a URL that names no organization, such as `/developer/agents`, to that of the user's own."""
    developer = last_membership(request, signed_in(request))
    return (
        redirect("web:developer") if developer is None else _to_organization(request, developer.organization_id, rest)
    )


def _to_organization(request: HttpRequest, organization_id: str, rest: str) -> HttpResponse:
    query = request.GET.urlencode()
    return SeeOther(f"{portal_url(organization_id, 'overview')}{escape_uri_path(rest)}{query and f'?{query}'}")
