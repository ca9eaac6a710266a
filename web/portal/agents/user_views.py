"""The users of an agent, and what they granted it.

Developers see what the agent learns anyway: the user's id, the scopes and the decisions. They do not see who the user
is, or how the user restricts the access (approvals, limits, targets, a pause).
"""

from dataclasses import dataclass
from datetime import datetime

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from agents.selectors import agent_for_organization
from audit.readers.uses import find_uses
from consent.models import Consent
from consent.selectors import count_connections, grants_of_agent
from core import clock
from developers.models import Developer
from developers.roles import Right
from resources.catalogue import Scope, read_snapshot
from web.forms.fields import PlainField
from web.requests.access import developer_page
from web.requests.paging import paginate

STATES = (("", _("Any")), ("live", _("Allowed")), ("ended", _("Ended")))


class AgentUsersForm(forms.Form):
    user = PlainField(
        label=_("User ID"),
        required=False,
        max_length=64,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off", "spellcheck": "false"}),
    )
    state = forms.ChoiceField(
        label=_("Access"), choices=STATES, required=False, widget=forms.Select(attrs={"data-auto": True})
    )

    def wanted(self) -> dict[str, str]:
        """Return the valid filters as arguments of `grants_of_agent`."""
        self.is_valid()
        return {"user_id": self.cleaned_data.get("user", ""), "state": self.cleaned_data.get("state", "")}


@dataclass(frozen=True, slots=True)
class Granted:
    """What a user granted. `ends_at` is in the past if the access has ended.

    `last_used` is when a request was last allowed, or None.
    """

    user_id: str
    status: str
    scopes: list[Scope]
    since: datetime
    ends_at: datetime
    last_used: datetime | None


@developer_page(Right.READ)
def users(request: HttpRequest, developer: Developer, agent_id: str) -> HttpResponse:
    agent = agent_for_organization(developer.organization_id, agent_id)
    form, now = AgentUsersForm(request.GET), clock.now()
    wanted = form.wanted()
    found = grants_of_agent(agent, now, **wanted)
    page = paginate(request, found if form.is_valid() else found.none())
    uses = find_uses([consent.id for consent in page.items])
    context = {
        "agent": agent,
        "form": form,
        "page": page,
        "grants": [_granted(one, uses[one.id].last_at if one.id in uses else None, now) for one in page.items],
        "users": count_connections([agent.id], now).get(agent.id, 0),
        "is_filtered": any(wanted.values()),
    }
    return render(request, "web/portal/agents/agent_users.html", context)


def _granted(consent: Consent, last_used: datetime | None, now: datetime) -> Granted:
    return Granted(
        user_id=str(consent.user_id),
        status=consent.status_at(now),
        scopes=[scope for scope in read_snapshot(consent.shown_scopes) if scope.id in consent.granted_scopes],
        since=consent.decided_at or consent.created_at,
        ends_at=consent.revoked_at or consent.expires_at,
        last_used=last_used,
    )
