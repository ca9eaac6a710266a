from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from administration.actions import AGENTS, POLICIES, count_many, counted, reasoned_action
from administration.base import ReadOnlyAdmin
from administration.links import pretty, show_lines
from administration.lists import CreatedFilter
from administration.rows import pill
from agents.models import Agent
from core.actor import Actor
from policies.models import Policy
from policies.rules import sentences
from policies.services import update_policy


def _impact(rows: QuerySet[Any]) -> list[str]:
    """Count the policies and the agents that they are about: one agent, or all of the organization."""
    of_all = Q(organization__in=rows.filter(agent=None).order_by().values("organization"))
    agents = Agent.objects.filter(of_all | Q(pk__in=rows.order_by().values("agent")), deleted_at=None)
    return [*count_many(rows, POLICIES), counted(agents.count(), AGENTS)]


@reasoned_action(
    gettext_lazy("Disable policy"),
    many=gettext_lazy("Disable selected policies"),
    question=gettext_lazy("Disable {}?"),
    is_harmful=True,
    impact=_impact,
    unchanged=gettext_lazy("already disabled"),
    applies=lambda policy: policy.enabled,
)
def disable(actor: Actor, policy: Policy, reason: str) -> bool:
    return _set_enabled(actor, policy, reason, is_enabled=False)


@reasoned_action(
    gettext_lazy("Enable policy"),
    many=gettext_lazy("Enable selected policies"),
    question=gettext_lazy("Enable {}?"),
    impact=_impact,
    unchanged=gettext_lazy("already enabled"),
    applies=lambda policy: not policy.enabled,
)
def enable(actor: Actor, policy: Policy, reason: str) -> bool:
    return _set_enabled(actor, policy, reason, is_enabled=True)


def _set_enabled(actor: Actor, policy: Policy, reason: str, *, is_enabled: bool) -> bool:
    if policy.enabled is is_enabled:
        return False
    update_policy(actor=actor, policy=policy, changes={"enabled": is_enabled}, reason=reason)
    return True


@admin.register(Policy)
class PolicyAdmin(ReadOnlyAdmin):
    """Policies, in sentences. Their developers write them; administrators switch them off and on, with a reason."""

    owners = ["organization__developers__user"]
    list_display = ["name", "organization", "agent", "state", "sentences", "updated_at"]
    list_select_related = ["organization", "agent"]
    list_filter = ["enabled", "mode", CreatedFilter]
    parts = ["name"]
    searches = {"pol": "id", "org": "organization", "agt": "agent"}
    readonly_fields = ["sentences", "state", "source"]
    fields = ["sentences", "state", "mode", "description", "organization", "agent", "id", "version"]
    fields += ["created_at", "updated_at", "source"]
    actions = [disable, enable]

    @admin.display(description=gettext_lazy("Status"))
    def state(self, policy: Policy) -> SafeString:
        return pill(_("Enabled"), "good") if policy.enabled else pill(_("Disabled"))

    @admin.display(description=gettext_lazy("Rules"))
    def sentences(self, policy: Policy) -> SafeString | str:
        """Return each rule in words. An unreadable rule denies everything, and its sentence says so."""
        return show_lines([format_html("<bdi>{}.</bdi>", sentence) for sentence in sentences(policy.rules)])

    @admin.display(description=gettext_lazy("Rules as JSON"))
    def source(self, policy: Policy) -> SafeString:
        return format_html("<details><summary>{}</summary>{}</details>", _("Show"), pretty(policy.rules))
