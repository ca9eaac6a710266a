"""The user's own history: the ledger with its filters, and one entry."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from audit.events import Event
from audit.selectors import entry_for_user
from consent.disputes import find_report
from consent.pausing import paused_all_since
from consent.selectors import agents_of_user
from decisions.requests import Reason
from web.display.chains import describe_agents
from web.requests.access import signed_in, user_page
from web.user.activity.content import describe_content
from web.user.activity.denials import explain, find_allowance
from web.user.activity.following import find_approval, find_followed
from web.user.activity.forms import KIND_LABELS, ActivityForm
from web.user.activity.items import read_items
from web.user.activity.search import read_sheet


def activity_form(request: HttpRequest) -> ActivityForm:
    """Return the filters in the URL."""
    return ActivityForm(request.GET, agents=agents_of_user(signed_in(request)))


@user_page
def activity(request: HttpRequest) -> HttpResponse:
    form = activity_form(request)
    sheet = read_sheet(request, signed_in(request).id, form.wanted(), form.agents_by_id)
    context = {
        "form": form,
        "sheet": sheet,
        "agent": form.chosen_agent,
        "chips": list(form.chips()),
        "kinds": [(name, label, form.query(kind=name)) for name, label in KIND_LABELS],
        "kind": form.chosen_kind,
        "query": form.query(),
    }
    return render(request, "web/user/activity/activity.html", context)


@user_page
def audit(request: HttpRequest) -> HttpResponse:
    """Redirect from where grants and sign-ins were listed."""
    return redirect(f"{reverse('web:activity')}?kind=account")


@user_page
def entry(request: HttpRequest, entry_id: str) -> HttpResponse:
    user = signed_in(request)
    found = entry_for_user(user.id, entry_id)
    agent = (
        agents_of_user(user).select_related("organization").filter(pk=found.agent_id).first()
        if found.agent_id
        else None
    )
    (item,) = read_items([found], user.id, agent_names={agent.id: agent.name} if agent else {})
    is_all_paused = item.content["reason"] == Reason.CONSENT_PAUSED and paused_all_since(user) is not None
    content, approval = describe_content(item), find_approval(item, user)
    (chain,) = describe_agents([[link["agentId"] for link in item.content.get("chain", ())]])
    context = {
        "item": item,
        "agent": agent,
        "chain": chain,
        "content": content,
        "report": find_report(user.id, found) if item.is_disputable else None,
        "denial": explain(item, is_all_paused=is_all_paused),
        "allowance": find_allowance(item, content.scopes, approval),
        "approval": approval,
        "followed": find_followed(item, approval, user) if item.event == Event.APPROVAL_APPROVED else None,
    }
    return render(request, "web/user/activity/entry.html", context)
