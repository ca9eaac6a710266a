"""Backtests: what a policy, or a draft of one, would have decided about the calls in the log."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from audit.selectors import describe_for_organization, entries_of_organization_at
from core.http import SeeOther
from decisions.whatif.backtests import backtest_for_organization, run_backtest
from developers.models import Developer
from policies.models import Backtest
from policies.selectors import policy_for_organization
from web.portal.policies.backtests import Finding, describe_backtest, find_calls, headline
from web.requests.access import developer_page
from web.requests.paging import part_of, read_number
from web.wording.names import add_names

DAYS = [(1, _("Last 24 hours")), (7, _("Last 7 days")), (30, _("Last 30 days"))]
LISTED = 10


class DaysForm(forms.Form):
    days = forms.TypedChoiceField(label=_("Calls of the"), choices=DAYS, coerce=int, initial=7)


@require_http_methods(["GET", "HEAD", "POST"])
@developer_page
def backtest(request: HttpRequest, developer: Developer, policy_id: str) -> HttpResponse:
    policy = policy_for_organization(developer.organization_id, policy_id)
    form = DaysForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = run_backtest(draft=policy, replaces=policy, days=form.cleaned_data["days"])
        return SeeOther(reverse("web:backtest", args=[made.id]))
    rows = policy.backtests.order_by("-id")[:LISTED]
    earlier = [(one, headline(one)) for one in rows]
    context = {"policy": policy, "form": form, "earlier": earlier}
    return render(request, "web/portal/policies/policy_backtest.html", context, status=422 if form.errors else 200)


@require_safe
@developer_page
def result(request: HttpRequest, developer: Developer, backtest_id: str) -> HttpResponse:
    found = backtest_for_organization(developer.organization_id, backtest_id)
    described = describe_backtest(found)
    finding = find_calls(found, described, request.GET.get("show", ""), read_number(request.GET, "place"))
    context: dict[str, Any] = {
        "backtest": found,
        "policy": found.policy,
        "result": described,
        "finding": finding,
        "edit_url": _edit_url(found),
        "is_draft": found.policy is None or found.content["rules"] != found.policy.rules,
        **(_entries(request, found, finding) if finding else {}),
    }
    name = "backtest_of_policy" if found.policy else "backtest"
    return render(request, f"web/portal/policies/{name}.html", context)


def _entries(request: HttpRequest, found: Backtest, finding: Finding) -> dict[str, Any]:
    """Return a page of the calls of the finding, newest first."""
    part = part_of(request, sorted(finding.indexes, reverse=True))
    left_out = finding.total - len(finding.indexes) if part.more is None else 0
    return {"entries": _rows(found.organization_id, part.items), "part": part, "left_out": left_out}


def _rows(organization_id: str, indexes: Sequence[int]) -> list[dict[str, Any]]:
    """Return what the organization may read of the entries with these places in the log."""
    entries = entries_of_organization_at(organization_id, indexes)
    described = add_names(describe_for_organization(entries, organization_id), organization_id=organization_id)
    return [{**content, "at": entry.timestamp} for content, entry in zip(described, entries, strict=True)]


def _edit_url(found: Backtest) -> str:
    path = reverse("web:policy-edit", args=[found.policy_id]) if found.policy_id else reverse("web:policy-new")
    return f"{path}?draft={found.id}"
