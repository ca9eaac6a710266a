"""Settings > Organization: stop all agents and resume them, delete the organization and restore it."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agents.selectors import agent_ids_of
from audit.proof.stops import organization_level, prove_stop
from audit.readers.snapshot import take_snapshot
from core import clock
from core.errors import Conflict
from core.http import SeeOther
from core.text import plain_text
from developers.impact import impact_on_agents, impact_on_organization
from developers.models import Developer
from developers.roles import Right
from developers.stopping import (
    GRACE,
    delete_organization,
    restore_organization,
    resume_organization,
    stop_organization,
)
from web.forms.deleting import DeleteForm, TypedNameField
from web.forms.fields import PlainField
from web.requests.access import developer_actor, developer_form, for_developers, posted_from
from web.requests.portal import portal_url


class StopForm(forms.Form):
    reason = PlainField(
        label=gettext_lazy("Reason"),
        help_text=gettext_lazy("For your organization's log and the email."),
        max_length=300,
    )


class DeleteOrganizationForm(DeleteForm):
    name = TypedNameField(
        label=gettext_lazy("To confirm, type the name of the organization"),
        max_length=200,
        error_messages={"mismatch": gettext_lazy("This is not its name. Type it exactly as shown above.")},
    )


@developer_form(Right.READ, post=Right.ADMINISTER)
def stop(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Say what a stop of all agents denies, and stop them. While they are stopped, show the proof from the log."""
    form = StopForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        actor, reason = developer_actor(request, developer), form.cleaned_data["reason"]
        stop_organization(actor=actor, organization=developer.organization, reason=reason)
        messages.success(request, _("Stopped. All requests from your agents are now denied."))
        return SeeOther(portal_url(developer.organization_id, "organization-stop"))
    own, log = developer.organization, take_snapshot()
    agents = agent_ids_of(own.id)
    context = {
        "organization": own,
        "form": form,
        "impact": impact_on_agents(own.id, agents, clock.now(), log),
        "proof": prove_stop(organization_level(own.id, agents), log) if own.stopped_at else None,
        "back_url": _settings_url(developer),
    }
    return render(request, "web/portal/organization/stop.html", context, status=422 if form.is_bound else 200)


@for_developers(Right.ADMINISTER)
@posted_from("portal:organization-stop", "organization_id")
def resume(request: HttpRequest, developer: Developer) -> HttpResponse:
    resume_organization(actor=developer_actor(request, developer), organization=developer.organization)
    messages.success(request, _("Agents resumed. Agents that were stopped separately are still stopped."))
    return SeeOther(_settings_url(developer))


@developer_form(Right.OWN)
def delete(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Delete the organization, after its grace, once the owner has typed its name."""
    own = developer.organization
    form = DeleteOrganizationForm(request.POST if request.method == "POST" else None, expected=own.name)
    if form.is_valid():
        try:
            delete_organization(actor=developer_actor(request, developer), organization=own)
        except Conflict as error:
            messages.error(request, error.translated)
        else:
            messages.success(request, _("Everything is stopped. You can restore the organization until it is deleted."))
        return SeeOther(_settings_url(developer))
    context = {
        "organization": own,
        "form": form,
        "impact": impact_on_organization(own.id, clock.now()),
        "servers": own.resource_servers.count(),
        "members": own.developers.filter(ended_at=None).count(),
        "days": GRACE.days,
        "title": _("Delete %(organization)s?") % {"organization": plain_text(own.name)},
        "confirm_label": _("Delete organization"),
        "back_url": _settings_url(developer),
    }
    template = "web/portal/organization/organization_delete.html"
    return render(request, template, context, status=422 if form.is_bound else 200)


@for_developers(Right.OWN)
@posted_from("portal:organization", "organization_id")
def restore(request: HttpRequest, developer: Developer) -> HttpResponse:
    if restore_organization(actor=developer_actor(request, developer), organization=developer.organization):
        messages.success(request, _("Organization restored. Agents that were stopped separately are still stopped."))
    return SeeOther(_settings_url(developer))


def _settings_url(developer: Developer) -> str:
    return portal_url(developer.organization_id, "organization")
