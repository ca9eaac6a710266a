"""The history of a policy, and restoring one of its versions."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from core.errors import Invalid
from core.http import SeeOther
from core.text import plain_text
from developers.models import ApiKey, Developer
from developers.roles import Right
from policies.models import Policy, PolicyVersion
from policies.quotas import throttle_writes
from policies.selectors import policy_for_organization
from policies.services import restore_version
from policies.versions import versions_of
from web.portal.policies.forms import effect_of
from web.requests.access import developer_actor, developer_page, for_developers, posted_from
from web.requests.paging import read_number
from web.requests.portal import portal_url

PAGE_SIZE = 20
NO_REFUSAL: Mapping[str, Any] = MappingProxyType({})


@developer_page(Right.READ)
def history(request: HttpRequest, developer: Developer, policy_id: str) -> HttpResponse:
    return _show(request, policy_for_organization(developer.organization_id, policy_id))


@for_developers(Right.DEVELOP)
@posted_from("portal:policy-history", "organization_id", "policy_id")
def restore(request: HttpRequest, developer: Developer, policy_id: str, number: int) -> HttpResponse:
    policy = policy_for_organization(developer.organization_id, policy_id)
    throttle_writes(policy.organization_id)
    try:
        restored = restore_version(actor=developer_actor(request, developer), policy=policy, number=number)
    except Invalid as error:
        return _show(request, policy, {"error": error, "refused": number}, status=422)
    done = _("Version %(number)d restored.") % {"number": number}
    messages.success(request, f"{done} {effect_of(restored)}")
    return SeeOther(portal_url(policy.organization_id, "policy-history", policy.id))


def _show(
    request: HttpRequest, policy: Policy, refusal: Mapping[str, Any] = NO_REFUSAL, status: int = 200
) -> HttpResponse:
    before = read_number(request.GET, "before")
    rows = versions_of(policy).defer("content")  # one can have two million characters
    if before is not None:
        rows = rows.filter(number__lt=before)
    found = list(rows[: PAGE_SIZE + 1])
    listed, people = found[:PAGE_SIZE], _people(found)
    context = {
        "policy": policy,
        "versions": [(version, _actor(version, people)) for version in listed],
        "older": listed[-1].number if len(found) > PAGE_SIZE else None,
        "is_newest": before is None,
        **refusal,
    }
    return render(request, "web/portal/policies/policy_history.html", context, status=status)


def _people(versions: Sequence[PolicyVersion]) -> dict[str, str]:
    """Return the names of the developers and of the organization's keys that saved the versions, by their ids."""
    members, keys = ({one.actor_id for one in versions if one.actor_kind == kind} for kind in ("developer", "api_key"))
    found = Developer.objects.filter(pk__in=members).select_related("user")
    names = {developer.id: plain_text(developer.user.name or developer.user.email) for developer in found}
    named = ApiKey.objects.filter(pk__in=keys)
    return names | {key.id: _("API key “%(name)s”") % {"name": plain_text(key.name)} for key in named}


def _actor(version: PolicyVersion, people: Mapping[str, str]) -> str:
    if version.actor_kind == "developer":
        return people.get(version.actor_id, _("A former developer"))
    if version.actor_kind == "api_key":
        return people.get(version.actor_id, _("A former API key"))
    if version.actor_kind == "administrator":
        return _("An administrator of AgentGate")
    return _("AgentGate") if version.actor_kind == "system" else _("Unknown")
