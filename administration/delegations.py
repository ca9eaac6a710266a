"""Delegations in the admin site. The limits and targets are the user's and the agents'."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy, ngettext_lazy

from administration.actions import USERS, count_many, counted, reasoned_action
from administration.base import ReadOnlyAdmin
from administration.lists import EMAIL, CreatedFilter, whether
from core import clock
from core.actor import Actor
from tokens.delegation_selectors import count_below
from tokens.delegations import end_delegation
from tokens.models import Delegation

DELEGATIONS = ngettext_lazy("%(number)d delegation", "%(number)d delegations", "number")
BELOW = ngettext_lazy("%(number)d live delegation below", "%(number)d live delegations below", "number")
# For more rows, what is below them is not counted.
MAX_COUNTED = 10


def _impact(rows: QuerySet[Any]) -> list[str]:
    live, now = rows.filter(ended_at=None), clock.now()
    few = list(live[: MAX_COUNTED + 1])
    below = [counted(sum(count_below(one, now) for one in few), BELOW)] if len(few) <= MAX_COUNTED else []
    return [*count_many(live, DELEGATIONS), *below, counted(live.values("user").distinct().count(), USERS)]


@reasoned_action(
    gettext_lazy("End delegation"),
    many=gettext_lazy("End selected delegations"),
    is_harmful=True,
    impact=_impact,
    unchanged=gettext_lazy("already ended"),
    applies=lambda delegation: delegation.ended_at is None,
)
def end(actor: Actor, delegation: Delegation, reason: str) -> bool:
    is_live = delegation.ended_at is None
    end_delegation(actor=actor, delegation=delegation, reason=reason)
    return is_live


@admin.register(Delegation)
class DelegationAdmin(ReadOnlyAdmin):
    """Delegations. Administrators who may read or revoke token families may read or end these."""

    owners = [
        "user",
        "from_agent__organization__developers__user",
        "to_agent__organization__developers__user",
    ]
    list_display = ["id", "from_agent", "to_agent", "user", "created_at", "ended_at", "expires_at"]
    list_select_related = ["from_agent", "to_agent", "user"]
    list_filter = [("ended_at", whether(gettext_lazy("Ended"), gettext_lazy("Not ended"))), CreatedFilter]
    searches = {"del": "id", "fam": "from_family", "cns": "consent", "usr": "user", EMAIL: "user__email"}
    searches |= {"agt": "from_agent", "agc": "from_agent__client_id"}
    fields = ["id", "from_agent", "to_agent", "user", "consent", "parent", "scopes", "max_depth"]
    fields += ["created_at", "redeemed_at", "ended_at", "expires_at"]
    actions = [end]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("tokens.view_tokenfamily")

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tokens.change_tokenfamily")
