"""The user's own history: the ledger with its filters, and one entry."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from approvals.models import Approval
from approvals.selectors import approvals_for_user
from audit.selectors import entry_for_user
from consent.disputes import find_report
from consent.pausing import paused_all_since
from consent.selectors import agents_of_user
from decisions.requests import Reason
from resources.catalogue import OUTBOUND, Scope
from web.requests.access import signed_in, user_page
from web.user.activity.content import describe_content
from web.user.activity.denials import explain
from web.user.activity.forms import KIND_LABELS, ActivityForm
from web.user.activity.items import Item, read_items
from web.user.activity.search import read_sheet

GUARD = gettext_lazy(
    "If you have chosen to “Protect your data”, it asks or denies only after the agent has read both your private data "
    "and what others wrote, for the same task, in the last 24 hours."
)


def activity_form(request: HttpRequest, kind: str = "") -> ActivityForm:
    """Return the filters in the URL. A kind in the path overrides the one in the query."""
    data = request.GET.copy()
    if kind:
        data["kind"] = kind
    return ActivityForm(data, agents=agents_of_user(signed_in(request)))


@user_page
def activity(request: HttpRequest, kind: str = "") -> HttpResponse:
    form = activity_form(request, kind)
    sheet = read_sheet(request, signed_in(request).id, form.wanted(), form.agent_names)
    context = {
        "form": form,
        "sheet": sheet,
        "chips": list(form.chips()),
        "kinds": [(name, label, form.query(kind=name)) for name, label in KIND_LABELS],
        "kind": form.chosen_kind,
        "query": form.query(),
    }
    return render(request, "web/user/activity/activity.html", context)


@user_page
def entry(request: HttpRequest, entry_id: str) -> HttpResponse:
    user = signed_in(request)
    found = entry_for_user(user.id, entry_id)
    agent = agents_of_user(user).filter(pk=found.agent_id).first() if found.agent_id else None
    (item,) = read_items([found], user.id, agent_names={agent.id: agent.name} if agent else {})
    is_all_paused = item.content["reason"] == Reason.CONSENT_PAUSED and paused_all_since(user) is not None
    content = describe_content(item)
    context = {
        "item": item,
        "agent": agent,
        "content": content,
        "report": find_report(user.id, found) if item.is_disputable else None,
        "denial": explain(item, is_all_paused=is_all_paused),
        "allowance": find_allowance(item, content.scopes, user),
    }
    return render(request, "web/user/activity/entry.html", context)


@dataclass(frozen=True, slots=True)
class Allowance:
    """Sentences, and the page of the approval. `url` is empty if there was no approval or it has been deleted."""

    sentences: list[str]
    url: str = ""


def find_allowance(item: Item, scopes: Iterable[Scope], user: User) -> Allowance | None:
    """Return why the request for these scopes was allowed. None if the entry is about something else."""
    if not item.is_call or item.is_denied:
        return None
    approval_id = item.content["metadata"].get("approvalId")
    if approval_id is None:
        sends = any(OUTBOUND in scope.labels for scope in scopes)
        return Allowance([_("You had allowed this agent to do this without asking you."), *([str(GUARD)] * sends)])
    approval = approvals_for_user(user).filter(pk=approval_id).first()
    return Allowance([_approved(approval)], reverse("web:approval", args=[approval_id]) if approval else "")


def _approved(approval: Approval | None) -> str:
    if approval is not None and approval.is_rule:
        return _("A rule that follows from your answers allowed it without asking you.")
    if approval is not None and approval.is_standing:
        return _("You had approved it for a time, so you were not asked again.")
    return _("You approved it.")
