"""Agents in the admin site. django-oauth-toolkit registers `AgentAdmin`, through `APPLICATION_ADMIN_CLASS`."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from administration.actions import AGENTS, EditForm, counted, reasoned_action
from administration.base import ReadOnlyAdmin
from administration.lists import TEXT, URL, CreatedFilter, whether
from administration.stop_lines import lines_of_proof, lines_of_rows
from agents.models import Agent
from agents.services import lift_agent_stop, stop_agent, update_agent
from audit.events import Event
from audit.proof.stops import Level, agent_level
from core.actor import Actor
from developers.impact import impact_on_agent


def _impact(rows: QuerySet[Any]) -> list[str]:
    return [counted(rows.count(), AGENTS), *lines_of_rows([row.pk for row in rows], impact_on_agent)]


@reasoned_action(
    gettext_lazy("Stop agent"),
    many=gettext_lazy("Stop selected agents"),
    impact=_impact,
    unchanged=gettext_lazy("already stopped"),
    applies=lambda agent: not agent.is_stopped and agent.deleted_at is None,
)
def stop(actor: Actor, agent: Agent, reason: str) -> bool:
    return stop_agent(actor=actor, agent=agent, reason=reason)


@reasoned_action(
    gettext_lazy("Lift the stop of the agent"),
    many=gettext_lazy("Lift the stop of selected agents"),
    impact=_impact,
    unchanged=gettext_lazy("not stopped"),
    applies=lambda agent: agent.is_stopped,
)
def lift_stop(actor: Actor, agent: Agent, reason: str) -> bool:
    """Lift only the administrator's stop. A suspension by the developer remains."""
    return lift_agent_stop(actor=actor, agent=agent, reason=reason)


class AgentForm(EditForm):
    """The texts of an agent. Only the developer decides what the agent may do."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=255)
    description = forms.CharField(
        label=gettext_lazy("Description"), max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    def read(self, row: Agent) -> dict[str, Any]:
        return {"name": row.name, "description": row.description}

    def write(self, actor: Actor, reason: str) -> Agent:
        changes = self.changed()
        return update_agent(actor=actor, agent=self.row, changes=changes, reason=reason) if changes else self.row


class AgentAdmin(ReadOnlyAdmin):
    owners = ["organization__developers__user"]
    list_display = ["name", "organization", "status", "created"]
    list_select_related = ["organization"]
    list_filter = [
        "status",
        ("stopped_at", whether(gettext_lazy("Stopped"), gettext_lazy("Not stopped"))),
        "client_type",
        "require_pkce",
        "registration_source",
        CreatedFilter,
    ]
    parts = ["name"]
    searches = {"agt": "id", "agc": "client_id", URL: "client_id", "org": "organization"}
    searches |= {"sec": "secrets", TEXT: "name__iexact"}
    actions = [stop, lift_stop]
    edit_form = AgentForm
    shows_proof = True
    fields = [
        "description",
        "status",
        "stopped_at",
        "stop_reason",
        "deleted_at",
        "organization",
        "id",
        "client_id",
        "client_type",
        "registration_source",
        "redirect_uris",
        "require_pkce",
        "allowed_scopes",
        "created",
        "updated",
    ]

    def may_edit(self, request: HttpRequest, row: Any = None) -> bool:
        return super().may_edit(request, row) and (row is None or row.deleted_at is None)

    def proof_of(self, row: Agent) -> list[str]:
        """Return what the log says about the newest stop by an administrator."""
        scope, lifts = agent_level(row.id)
        return lines_of_proof(Level(scope, {Event.AGENT_STOPPED: lifts[Event.AGENT_STOPPED]}))
