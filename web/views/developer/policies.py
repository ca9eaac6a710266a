"""The policies of the developer's organization."""

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods, require_safe

from agents.selectors import agents_for_organization
from core.errors import DomainError, Invalid, NotFound
from core.http import SeeOther
from decisions.backtests import backtest_for_organization, run_backtest
from developers.models import Developer
from policies.models import Policy
from policies.rules import sentences
from policies.selectors import policies_for_organization, policy_for_organization
from policies.services import create_policy, delete_policy, update_policy
from policies.versions import content_of
from web.access import developer_actor, developer_page, posted_from
from web.approving.diffs import visible_text
from web.forms.conditions import KNOWN_FIELDS
from web.forms.policies import SHADOW, STATUSES, PolicyEditor, changes_to, status_of
from web.forms.policy_filters import PolicyFilterForm
from web.forms.rules import rule_titles, time_zones
from web.ids import ID
from web.paging import paginate
from web.policies.cedar import as_cedar
from web.policies.findings import find_findings

LISTED_RULES = 2
TESTED_DAYS = 7


@require_safe
@developer_page
def policies(request: HttpRequest, developer: Developer) -> HttpResponse:
    form = PolicyFilterForm(request.GET, agents=agents_for_organization(developer.organization_id))
    rows = form.apply(policies_for_organization(developer.organization_id).select_related("agent"))
    page = paginate(request, rows)
    listed = [
        (policy, sentences(policy.rules[:LISTED_RULES]), max(len(policy.rules) - LISTED_RULES, 0))
        for policy in page.items
    ]
    return render(request, "web/developer/policies.html", {"form": form, "page": page, "policies": listed})


@require_safe
@developer_page
def detail(request: HttpRequest, developer: Developer, policy_id: str) -> HttpResponse:
    policy = policy_for_organization(developer.organization_id, policy_id)
    status = status_of(enabled=policy.enabled, mode=policy.mode)
    context = {
        "policy": policy,
        "status": status,
        "sentences": sentences(policy.rules),
        "findings": find_findings(policy) if status == SHADOW else None,
    }
    return render(request, "web/developer/policy.html", context)


@require_safe
@developer_page
def code(request: HttpRequest, developer: Developer, policy_id: str) -> HttpResponse:
    policy = policy_for_organization(developer.organization_id, policy_id)
    text = visible_text(json.dumps(content_of(policy), indent=2, ensure_ascii=False))
    context = {"policy": policy, "json": text, "cedar": visible_text(as_cedar(policy.rules))}
    return render(request, "web/developer/policy_code.html", context)


@developer_page
@posted_from("web:policy", "policy_id")
def set_status(request: HttpRequest, developer: Developer, policy_id: str) -> HttpResponse:
    policy = policy_for_organization(developer.organization_id, policy_id)
    status = request.POST.get("status", "")
    if status not in dict(STATUSES):
        raise Invalid.field("status", gettext_noop("Must be one of the offered values."))
    changes = changes_to(status, policy)
    return _saved(request, update_policy(actor=developer_actor(request, developer), policy=policy, changes=changes))


@require_http_methods(["GET", "HEAD", "POST"])
@developer_page
def create(request: HttpRequest, developer: Developer) -> HttpResponse:
    editor = _editor(request, developer)
    if _is_save(request) and editor.is_valid():
        try:
            if _is_backtest(request):
                return _test(developer, editor)
            policy = create_policy(
                actor=developer_actor(request, developer),
                organization=developer.organization,
                **_values(editor),
            )
        except DomainError as error:
            editor.show(error)
        else:
            return _saved(request, policy)
    return _edit_page(request, editor, {"title": _("New policy"), "back_url": reverse("web:policies")})


@require_http_methods(["GET", "HEAD", "POST"])
@developer_page
def edit(request: HttpRequest, developer: Developer, policy_id: str) -> HttpResponse:
    policy = policy_for_organization(developer.organization_id, policy_id)
    editor = _editor(request, developer, policy)
    if _is_save(request) and editor.is_valid():
        try:
            if _is_backtest(request):
                return _test(developer, editor, policy)
            update_policy(actor=developer_actor(request, developer), policy=policy, changes=_values(editor, policy))
        except DomainError as error:
            editor.show(error)
        else:
            return _saved(request, policy)
    return _edit_page(request, editor, {"title": _("Edit policy"), "back_url": _url(policy)})


@require_http_methods(["GET", "HEAD", "POST"])
@developer_page
def delete(request: HttpRequest, developer: Developer, policy_id: str) -> HttpResponse:
    policy = policy_for_organization(developer.organization_id, policy_id)
    if request.method == "POST":
        delete_policy(actor=developer_actor(request, developer), policy=policy)
        messages.success(request, _("Policy deleted. It no longer denies any requests."))
        return SeeOther(reverse("web:policies"))
    context = {
        "policy": policy,
        "sentences": sentences(policy.rules),
        "title": _("Delete this policy?"),
        "confirm_label": _("Delete policy"),
        "back_url": _url(policy),
    }
    return render(request, "web/developer/policy_delete.html", context)


def _is_save(request: HttpRequest) -> bool:
    """Return whether the form is being saved, rather than a rule added or removed."""
    return request.method == "POST" and not request.POST.keys() & {"add", "remove"}


def _is_backtest(request: HttpRequest) -> bool:
    """Return whether the form is to be tested on the log instead of saved."""
    return "backtest" in request.POST


def _test(developer: Developer, editor: PolicyEditor, policy: Policy | None = None) -> HttpResponse:
    """Test what the form has on the log, in place of the policy if there is one. Raises `DomainError`."""
    draft = Policy(organization=developer.organization, **_values(editor, policy))
    made = run_backtest(draft=draft, replaces=policy, days=TESTED_DAYS)
    return SeeOther(reverse("web:backtest", args=[made.id]))


def _editor(request: HttpRequest, developer: Developer, policy: Policy | None = None) -> PolicyEditor:
    agents = agents_for_organization(developer.organization_id)
    if request.method == "POST":
        make = PolicyEditor.from_submitted if _is_save(request) else PolicyEditor.from_draft
        editor = make(agents, request.POST)
        editor.describe(request.POST, developer.organization_id)
        return editor
    shown = _draft(request, developer, policy) or policy
    if shown is None:
        return PolicyEditor.blank(agents)
    initial = {
        "name": shown.name,
        "description": shown.description,
        "agent": shown.agent,
        "status": status_of(enabled=shown.enabled, mode=shown.mode),
    }
    return PolicyEditor.from_stored(agents, initial, shown.rules)


def _draft(request: HttpRequest, developer: Developer, policy: Policy | None) -> Policy | None:
    """Return the draft of the backtest that the URL names, or None. It is not saved."""
    backtest_id = request.GET.get("draft", "")
    if not ID.fullmatch(backtest_id):
        return None
    backtest = backtest_for_organization(developer.organization_id, backtest_id)
    if backtest.policy != policy:
        raise NotFound("The backtest is of another policy.")
    content = dict(backtest.content)
    agent = agents_for_organization(developer.organization_id).filter(pk=content.pop("agentId")).first()
    return Policy(**content, agent=agent)


def _values(editor: PolicyEditor, policy: Policy | None = None) -> dict[str, Any]:
    fields = dict(editor.fields.cleaned_data)
    status = changes_to(fields.pop("status"), policy)
    return {**fields, **status, "rules": editor.raw_rules()}


def _edit_page(request: HttpRequest, editor: PolicyEditor, context: dict[str, Any]) -> HttpResponse:
    status = 422 if editor.has_errors() else 200
    context = {
        **context,
        "editor": editor,
        "rule_titles": rule_titles(),
        "time_zones": time_zones(),
        "context_fields": KNOWN_FIELDS,
    }
    return render(request, "web/developer/policy_edit.html", context, status=status)


def _saved(request: HttpRequest, policy: Policy) -> HttpResponse:
    messages.success(request, _("Policy saved. It applies to every check from now on."))
    return SeeOther(_url(policy))


def _url(policy: Policy) -> str:
    return reverse("web:policy", args=[policy.id])
