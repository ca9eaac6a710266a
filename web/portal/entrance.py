"""The way into the portal: becoming a developer, and the organization to open if the URL names none."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.encoding import escape_uri_path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from accounts.recent import time_of_sign_in
from accounts.selectors import require_verified_address
from core.errors import Invalid
from core.http import SeeOther
from developers.organizations import create_organization, throttle_creation
from developers.profiles import MAX_NAME
from developers.services import join_as_developer
from web.forms.fields import PlainField, show_in
from web.portal.agents.forms import DeveloperForm
from web.requests import once
from web.requests.access import for_users, signed_in, user_actor, user_form
from web.requests.kept_post import keeps_form, take_initial
from web.requests.portal import last_membership, portal_url


class OrganizationNameForm(forms.Form):
    name = PlainField(
        label=gettext_lazy("Name"),
        max_length=MAX_NAME,
        help_text=gettext_lazy("Users see it next to each of your agents."),
    )


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


@user_form
def create(request: HttpRequest) -> HttpResponseBase:
    """Create another organization, with the user as its owner."""
    user = signed_in(request)
    require_verified_address(user)
    form = OrganizationNameForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        throttle_creation(user)
        try:
            new = create_organization(actor=user_actor(request), user=user, name=form.cleaned_data["name"])
        except Invalid as error:
            show_in(form, error)
        else:
            messages.success(request, _("Organization created. You are its owner."))
            return SeeOther(portal_url(new.organization_id, "overview"))
    status = 422 if form.is_bound else 200
    return render(request, "web/portal/organization/new.html", {"form": form}, status=status)


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
