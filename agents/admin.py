"""Agents in the admin site. django-oauth-toolkit registers `AgentAdmin`, through `APPLICATION_ADMIN_CLASS`."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts.models import User
from agents.models import Agent, ClientSecret
from agents.services import lift_agent_stop, stop_agent, update_agent
from audit.proof.stops import agent_level
from core.actor import Actor
from core.admin_lists import TEXT, URL, CreatedFilter
from core.administration import (
    ReadOnlyAdmin,
    administrator,
    counted,
    link_to_rows,
    reasoned_action,
    show_lines,
)
from developers.hits import hits_of_agent
from developers.stop_lines import lines_of_proof, lines_of_rows


def _impact(rows: QuerySet[Any]) -> list[str]:
    users = User.objects.filter(consents__agent__in=rows.values("pk"), consents__status="approved")
    return [
        counted(rows.count(), "agent", "agents"),
        counted(users.distinct().count(), "connected user", "connected users"),
        *lines_of_rows(list(rows.values_list("pk", flat=True)), hits_of_agent),
    ]


@reasoned_action("Stop selected agents", impact=_impact)
def stop(actor: Actor, agent: Agent, reason: str) -> bool:
    return stop_agent(actor=actor, agent=agent, reason=reason)


@reasoned_action("Lift the stop of selected agents", impact=_impact)
def lift_stop(actor: Actor, agent: Agent, reason: str) -> bool:
    """Lift only the administrator's stop. A suspension by the developer remains."""
    return lift_agent_stop(actor=actor, agent=agent, reason=reason)


class AgentAdmin(ReadOnlyAdmin):
    """Administrators can correct the name and description. Only the developer decides what the agent may do."""

    owners = ["organization__developers__user"]
    list_display = ["name", "id", "organization", "status", "stopped_at", "created"]
    list_select_related = ["organization"]
    list_filter = [
        "status",
        ("stopped_at", admin.EmptyFieldListFilter),
        "client_type",
        "require_pkce",
        "registration_source",
        CreatedFilter,
    ]
    searches = {"agt": "id", "agc": "client_id", URL: "client_id", "org": "organization", TEXT: "name__iexact"}
    actions = [stop, lift_stop]
    readonly_fields = [
        "id",
        "client_id",
        "organization",
        "status",
        "stopped_at",
        "stop_reason",
        "deleted_at",
        "redirect_uris",
        "allowed_scopes",
        "client_type",
        "require_pkce",
        "registration_source",
        "created",
        "updated",
        "proof",
        "related_objects",
    ]
    fields = ["name", "description", *readonly_fields]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may_act_on(request, obj) and (obj is None or obj.deleted_at is None)

    def save_model(self, request: HttpRequest, obj: Agent, form: Any, change: bool) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        if changes:
            update_agent(actor=administrator(request), agent=obj, changes=changes)

    @admin.display(description="proof of the stop")
    def proof(self, agent: Agent) -> SafeString:
        """Show what the log says about the stop that is in force, if any."""
        is_stopped = agent.is_stopped or agent.status != Agent.Status.ACTIVE
        return show_lines(lines_of_proof(agent_level(agent.id)) if is_stopped else [])

    @admin.display(description="related objects")
    def related_objects(self, agent: Agent) -> SafeString:
        relations = {"consents": "agent", "policies": "agent", "families": "application", "secrets": "agent"}
        links = [
            (link_to_rows(_model_of(name), name, **{f"{field}__id__exact": agent.id}),)
            for name, field in relations.items()
        ]
        return format_html_join(" · ", "{}", links)


def _model_of(relation: str) -> Any:
    return Agent._meta.get_field(relation).related_model


@admin.register(ClientSecret)
class ClientSecretAdmin(ReadOnlyAdmin):
    owners = ["agent__organization__developers__user"]
    list_display = ["__str__", "name", "agent", "created_at", "last_used_at", "expires_at"]
    list_select_related = ["agent"]
    list_filter = [("expires_at", admin.EmptyFieldListFilter), CreatedFilter]
    searches = {"sec": "id", "agt": "agent", "agc": "agent__client_id", URL: "agent__client_id"}
    fields = ["id", "agent", "name", "last_four", "created_at", "last_used_at", "expires_at"]
