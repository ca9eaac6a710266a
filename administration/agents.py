"""Agents in the admin site. django-oauth-toolkit registers `AgentAdmin`, through `APPLICATION_ADMIN_CLASS`."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from administration.actions import AGENTS, REPORTS, EditForm, counted, reasoned_action
from administration.base import ReadOnlyAdmin
from administration.lists import TEXT, URL, CreatedFilter, whether
from administration.risk import add_levels, level_of
from administration.rows import status_pill
from administration.stop_lines import LIFTED, STOPPED, lines_of_proof, lines_of_rows
from agents.models import Agent, ReportedAgent
from agents.reports import review_reports
from agents.services import lift_agent_stop, stop_agent, update_agent
from audit.events import Event
from audit.proof.stops import Level, agent_level
from core.actor import Actor
from developers.impact import impact_on_agent


def _impact(rows: QuerySet[Any], words: Any = STOPPED) -> list[str]:
    ids = [row.pk for row in rows]
    meant = (
        [_("All requests are denied from now on, until an administrator lifts the stop.")] if words is STOPPED else []
    )
    return [*meant, *([counted(len(ids), AGENTS)] if len(ids) > 1 else []), *lines_of_rows(ids, impact_on_agent, words)]


@reasoned_action(
    gettext_lazy("Stop agent"),
    many=gettext_lazy("Stop selected agents"),
    question=gettext_lazy("Stop {}?"),
    is_harmful=True,
    impact=_impact,
    unchanged=gettext_lazy("already stopped"),
    applies=lambda agent: not agent.is_stopped and agent.deleted_at is None,
)
def stop(actor: Actor, agent: Agent, reason: str) -> bool:
    return stop_agent(actor=actor, agent=agent, reason=reason)


@reasoned_action(
    gettext_lazy("Lift the stop of the agent"),
    many=gettext_lazy("Lift the stop of selected agents"),
    question=gettext_lazy("Lift the stop of {}?"),
    impact=partial(_impact, words=LIFTED),
    unchanged=gettext_lazy("not stopped"),
    applies=lambda agent: agent.is_stopped,
)
def lift_stop(actor: Actor, agent: Agent, reason: str) -> bool:
    """Lift only the administrator's stop. A suspension by the developer remains."""
    return lift_agent_stop(actor=actor, agent=agent, reason=reason)


class ReportedFilter(admin.SimpleListFilter):
    """The agents with reports that no administrator has reviewed, or those without."""

    title = gettext_lazy("Reports")
    parameter_name = "reported"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("1", gettext_lazy("To review")), ("0", gettext_lazy("None to review"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        if self.value() is None:
            return None
        if self.value() not in dict(self.lookup_choices):
            raise IncorrectLookupParameters
        return queryset.filter(reported__isnull=self.value() == "0")


def _reported(agent: Agent) -> ReportedAgent | None:
    return getattr(agent, "reported", None)


def _reports(rows: QuerySet[Any]) -> list[str]:
    return [counted(sum(found.number for row in rows if (found := _reported(row))), REPORTS)]


@reasoned_action(
    gettext_lazy("Mark reports as reviewed"),
    many=gettext_lazy("Mark reports about selected agents as reviewed"),
    question=gettext_lazy("Mark the reports about {} as reviewed?"),
    impact=_reports,
    unchanged=gettext_lazy("without new reports"),
    applies=lambda agent: _reported(agent) is not None,
    decided_on=lambda agent: str(found.reported_at) if (found := _reported(agent)) else "",
)
def review(actor: Actor, agent: Agent, reason: str) -> bool:
    return review_reports(actor=actor, agent=agent, reason=reason)


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
    list_display = ["marked", "risk", "state", "organization"]
    list_select_related = ["organization", "reported"]
    list_filter = [
        "status",
        ("stopped_at", whether(gettext_lazy("Stopped"), gettext_lazy("Not stopped"))),
        ReportedFilter,
        CreatedFilter,
        "client_type",
        "require_pkce",
        "registration_source",
    ]
    parts = ["name"]
    searches = {"agt": "id", "agc": "client_id", URL: "client_id", "org": "organization"}
    searches |= {"sec": "secrets", TEXT: "name__iexact"}
    actions = [stop, lift_stop, review]
    edit_form = AgentForm
    shows_proof = True
    change_form_template = "admin/agents/agent/change_form.html"
    fieldsets = [
        (gettext_lazy("Stop"), {"fields": ["stopped_at", "stop_reason", "stopped_by"]}),
        (gettext_lazy("About"), {"fields": ["description", "own_status", "created", "updated", "deleted_at"]}),
        (
            gettext_lazy("Technical details"),
            {
                "classes": ["collapse"],
                "fields": [
                    "id",
                    "client_id",
                    "client_type",
                    "registration_source",
                    "redirect_uris",
                    "require_pkce",
                    "allowed_scopes",
                ],
            },
        ),
    ]

    def prepare(self, rows: Sequence[Agent]) -> None:
        """Read the risk of all rows at once."""
        add_levels(rows)

    @admin.display(description=gettext_lazy("Name"))
    def marked(self, row: Agent) -> SafeString:
        return render_to_string("admin/agents/agent/marked.html", {"agent": row})

    @admin.display(description=gettext_lazy("Risk"))
    def risk(self, row: Agent) -> SafeString:
        return render_to_string("admin/agents/agent/risk.html", {"agent": row, "level": level_of(row)})

    @admin.display(description=gettext_lazy("Status"))
    def state(self, row: Agent) -> SafeString:
        """Return whether the agent was deleted, or stopped by an administrator, or else the developer's own status."""
        return status_pill("deleted" if row.deleted_at else "stopped" if row.is_stopped else row.status)

    @admin.display(description=gettext_lazy("Why it may not act"))
    def stopped_by(self, row: Agent) -> str:
        return _(row.stopped_by.value) if row.stopped_by else ""

    @admin.display(description=gettext_lazy("Set by its developer"))
    def own_status(self, row: Agent) -> SafeString:
        return status_pill(row.status)

    def may_edit(self, request: HttpRequest, row: Any = None) -> bool:
        return super().may_edit(request, row) and (row is None or row.deleted_at is None)

    def is_stopped(self, row: Agent) -> bool:
        return row.is_stopped

    def proof_of(self, row: Agent) -> list[str]:
        """Return what the log says about the newest stop by an administrator."""
        level = agent_level(row.id)
        return lines_of_proof(Level(level.scope, {Event.AGENT_STOPPED: level.lifts[Event.AGENT_STOPPED]}))
