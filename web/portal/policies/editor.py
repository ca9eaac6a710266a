"""The policy editor: save a policy, or try unsaved changes with one request or on the log."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from agents.selectors import agents_for_organization, all_agents_of_organization
from core.errors import Conflict, DomainError, NotFound
from core.http import SeeOther
from core.zones import zone_names
from developers.models import Developer
from developers.roles import Right
from policies.models import Policy
from policies.quotas import throttle_writes
from policies.selectors import policy_for_organization
from policies.services import create_policy, update_policy
from policies.versions import content_of, version_of
from web.forms.agent_field import written
from web.portal.policies.condition_forms import KNOWN_FIELDS
from web.portal.policies.forms import MAX_NAME, PolicyEditor, changes_to, effect_of, status_of
from web.portal.policies.replays import Replayed
from web.portal.policies.rule_forms import rule_kinds
from web.portal.policies.trying import RUN, Attempt, replay_draft, try_draft
from web.requests.access import developer_actor, developer_form
from web.requests.ids import ID
from web.requests.paging import read_number
from web.requests.portal import portal_url

REPLAYED_DAYS = (7, 30)


class Opened(NamedTuple):
    """What the editor starts with, and the number of the policy version that it is based on.

    `content` is None if the form was sent or is for a new policy. Without `version`, an existing policy is not saved.
    """

    content: Mapping[str, Any] | None
    version: int | None


@developer_form(Right.DEVELOP)
def create(request: HttpRequest, developer: Developer) -> HttpResponse:
    return _answer(request, developer, None)


@developer_form(Right.DEVELOP)
def edit(request: HttpRequest, developer: Developer, policy_id: str) -> HttpResponse:
    """Change a policy. If it has been deleted meanwhile, the form keeps its values, for a new policy."""
    try:
        return _answer(request, developer, policy_for_organization(developer.organization_id, policy_id))
    except NotFound:
        if request.method != "POST":
            raise
        editor, attempt = _editor(request, developer, None), Attempt.read(request, developer)
        return _page(request, developer, editor, attempt, None, None, is_gone=True)


def _answer(request: HttpRequest, developer: Developer, policy: Policy | None) -> HttpResponse:
    """Show the editor of the policy, or of a new one. POST saves, tries, replays, or adds and removes a rule."""
    agent_id = (policy.agent_id or "") if policy else ""
    opened, attempt = _open(request, developer, policy), Attempt.read(request, developer, agent_id)
    editor, replayed = _editor(request, developer, opened.content), None
    try:
        if attempt.is_run:
            try_draft(attempt, editor, policy, developer.organization_id)
        elif days := read_number(request.POST, "replay"):
            replayed = replay_draft(editor, policy, developer.organization_id, min(days, max(REPLAYED_DAYS)))
        elif _is_sent(request) and editor.is_valid(developer.organization_id):
            return _finish(request, developer, editor, policy, opened.version or 0)
    except NotFound:
        raise
    except DomainError as error:
        editor.show(error)
        if policy and isinstance(error, Conflict):
            policy = policy_for_organization(developer.organization_id, policy.id)
            return _page(request, developer, editor, attempt, policy, policy.version)
    return _page(request, developer, editor, attempt, policy, opened.version, replayed=replayed)


def _finish(
    request: HttpRequest, developer: Developer, editor: PolicyEditor, policy: Policy | None, based_on: int
) -> HttpResponse:
    """Save the form. Raises `DomainError`."""
    values = _values(editor, policy)
    throttle_writes(developer.organization_id)
    actor = developer_actor(request, developer)
    if policy is None:
        policy = create_policy(actor=actor, organization=developer.organization, **values)
    else:
        policy = update_policy(actor=actor, policy=policy, changes=values, based_on=based_on)
    messages.success(request, f"{_('Policy saved.')} {effect_of(policy)}")
    return SeeOther(portal_url(policy.organization_id, "policy", policy.id))


def _is_sent(request: HttpRequest) -> bool:
    """Return whether to save the form, rather than change it further or try it."""
    return request.method == "POST" and not request.POST.keys() & {"add", "remove", "try", "replay"}


def _editor(request: HttpRequest, developer: Developer, content: Mapping[str, Any] | None) -> PolicyEditor:
    agents = agents_for_organization(developer.organization_id)
    if request.method == "POST":
        is_checked = _is_sent(request) or request.POST.get("try") == RUN or "replay" in request.POST
        make = PolicyEditor.from_submitted if is_checked else PolicyEditor.from_draft
        editor = make(agents, request.POST)
        editor.describe(request.POST, developer.organization_id)
        return editor
    if content is None:
        return PolicyEditor.blank(agents)
    initial = {
        "name": content["name"][:MAX_NAME],  # the name of a copy can be longer
        "description": content["description"],
        "agent": _agent(developer.organization_id, content["agentId"]),
        "status": status_of(enabled=content["enabled"], mode=content["mode"]),
    }
    return PolicyEditor.from_stored(agents, initial, content["rules"])


def _open(request: HttpRequest, developer: Developer, policy: Policy | None) -> Opened:
    """Start with an earlier version, the policy itself, a copy of another one, or nothing."""
    if request.method == "POST":
        return Opened(None, read_number(request.POST, "version"))
    number, copied_id = read_number(request.GET, "version"), request.GET.get("copy", "")
    if policy is not None:
        return Opened(content_of(policy) if number is None else version_of(policy, number).content, policy.version)
    if ID.fullmatch(copied_id):
        copied = content_of(policy_for_organization(developer.organization_id, copied_id))
        return Opened({**copied, "name": _("Copy of %(name)s") % {"name": copied["name"]}}, None)
    return Opened(None, None)


def _agent(organization_id: str, agent_id: str | None) -> Any:
    """Return the agent, or None for all. A deleted agent is returned as text, which the form refuses."""
    if agent_id is None:
        return None
    agent = all_agents_of_organization(organization_id).filter(pk=agent_id).first()
    return agent if agent and agent.deleted_at is None else written(agent_id, agent.name if agent else "")


def _values(editor: PolicyEditor, policy: Policy | None) -> dict[str, Any]:
    fields = dict(editor.fields.cleaned_data)
    status = changes_to(fields.pop("status"), policy)
    return {**fields, **status, "rules": editor.raw_rules()}


def _page(
    request: HttpRequest,
    developer: Developer,
    editor: PolicyEditor,
    attempt: Attempt,
    policy: Policy | None,
    version: int | None,
    *,
    is_gone: bool = False,
    replayed: Replayed | None = None,
) -> HttpResponse:
    """Show the editor. With `is_gone`, the policy no longer exists, and saving creates a new one."""
    forms = [*editor.forms, *attempt.forms]
    has_errors = any(form.is_bound and form.errors for form in forms)
    context = {
        "title": _("Edit policy") if policy else _("New policy"),
        "back_url": portal_url(developer.organization_id, *(("policy", policy.id) if policy else ("policies",))),
        "editor": editor,
        "policy": policy,
        "version": version,
        "forms": forms,
        "has_errors": has_errors,
        "is_gone": is_gone,
        "attempt": attempt,
        "rule_kinds": rule_kinds(),
        "time_zones": zone_names(),
        "context_fields": KNOWN_FIELDS,
        "replayed": replayed,
        "replayed_days": REPLAYED_DAYS,
    }
    status = 404 if is_gone else 422 if has_errors else 200
    return render(request, "web/portal/policies/policy_edit.html", context, status=status)
