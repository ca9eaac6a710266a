"""The portal's overview, and the form to become a developer."""

from django.db.models import Count, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from agents.selectors import agents_for_organization
from audit.selectors import entries_for_organization
from core.http import SeeOther
from developers.models import Developer, Organization
from developers.selectors import developer_for_user
from developers.services import become_developer
from policies.selectors import policies_for_organization
from web import once
from web.access import enter_portal, signed_in, user_actor, user_page
from web.developer_log import log_rows
from web.forms.agents import DeveloperForm

RECENT = 8


@require_http_methods(["GET", "HEAD", "POST"])
@user_page
def overview(request: HttpRequest) -> HttpResponse:
    developer = developer_for_user(signed_in(request))
    return _join(request) if developer is None else enter_portal(request, developer, _show)


def _show(request: HttpRequest, developer: Developer) -> HttpResponse:
    organization = developer.organization
    recent, _ = entries_for_organization(organization.id).page("", RECENT)
    agent_count, policy_count = _count(organization)
    context = {
        "organization": organization,
        "agent_count": agent_count,
        "policy_count": policy_count,
        "entries": log_rows(recent, organization.id),
    }
    return render(request, "web/developer/overview.html", context)


def _count(organization: Organization) -> tuple[int, int]:
    """Return how many agents and policies the organization has, by one query."""
    rows = agents_for_organization(organization.id), policies_for_organization(organization.id)
    numbers = (each.order_by().values("organization_id").annotate(number=Count("pk")).values("number") for each in rows)
    agents, policies = Organization.objects.filter(pk=organization.pk).values_list(*map(Subquery, numbers))[0]
    return agents or 0, policies or 0


def _join(request: HttpRequest) -> HttpResponse:
    initial = {"name": signed_in(request).name}
    form = DeveloperForm(request.POST if request.method == "POST" else None, initial=initial)
    if not form.is_valid():
        status = 422 if form.is_bound else 200
        return render(request, "web/developer/join.html", {"form": form}, status=status)
    new = become_developer(actor=user_actor(request), user=signed_in(request), name=form.cleaned_data["name"])
    once.put(request, new.developer.id, new.api_key)
    return SeeOther(reverse("web:api-keys"))
