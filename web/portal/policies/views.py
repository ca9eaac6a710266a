"""The policies of the developer's organization."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from agents.selectors import agents_for_organization
from core.errors import Invalid
from core.http import SeeOther
from core.text import plain_text
from developers.models import Developer
from developers.roles import Right
from policies.models import Policy
from policies.quotas import throttle_writes
from policies.rules import InvalidRules
from policies.selectors import policies_for_organization, policy_for_organization
from policies.services import delete_policy, update_policy
from web.portal.policies.descriptions import describe_rules, titles_for_developers
from web.portal.policies.filters import PolicyFilterForm
from web.portal.policies.forms import ENFORCED, SHADOW, STATUSES, changes_to, effect_of, status_of
from web.portal.policies.stopped import STOPPED_DAYS, count_recorded, count_stopped
from web.requests.access import developer_actor, developer_form, developer_page, for_developers, posted_from
from web.requests.paging import paginate
from web.requests.portal import portal_url

LISTED_RULES = 2


@developer_page(Right.READ)
def policies(request: HttpRequest, developer: Developer) -> HttpResponse:
    form = PolicyFilterForm(request.GET, agents=agents_for_organization(developer.organization_id))
    rows = form.apply(policies_for_organization(developer.organization_id).select_related("agent"))
    page = paginate(request, rows)
    titles = titles_for_developers(developer.organization_id)
    listed = [
        (policy, describe_rules(policy.rules[:LISTED_RULES], titles), max(len(policy.rules) - LISTED_RULES, 0))
        for policy in page.items
    ]
    return render(request, "web/portal/policies/policies.html", {"form": form, "page": page, "policies": listed})


@developer_page(Right.READ)
def detail(request: HttpRequest, developer: Developer, policy_id: str) -> HttpResponse:
    policy = policy_for_organization(developer.organization_id, policy_id)
    status = status_of(enabled=policy.enabled, mode=policy.mode)
    context = {
        "policy": policy,
        "status": status,
        "rules": describe_rules(policy.rules, titles_for_developers(policy.organization_id)),
        "recorded": count_recorded(policy) if status == SHADOW else None,
        "stopped": count_stopped(policy) if status == ENFORCED else None,
        "stopped_days": STOPPED_DAYS,
    }
    return render(request, "web/portal/policies/policy.html", context)


@for_developers(Right.DEVELOP)
@posted_from("portal:policy", "organization_id", "policy_id")
def set_status(request: HttpRequest, developer: Developer, policy_id: str) -> HttpResponse:
    policy = policy_for_organization(developer.organization_id, policy_id)
    status = request.POST.get("status", "")
    if status not in dict(STATUSES):
        raise Invalid.field("status", gettext_noop("Must be one of the offered values."))
    changes = changes_to(status, policy)
    throttle_writes(policy.organization_id)
    try:
        policy = update_policy(actor=developer_actor(request, developer), policy=policy, changes=changes)
    except InvalidRules as error:  # with it, the enabled policies would be too large
        messages.error(request, " ".join(each.translated for each in error.errors))
        return SeeOther(_url(policy))
    return _saved(request, policy)


@developer_form(Right.DEVELOP)
def delete(request: HttpRequest, developer: Developer, policy_id: str) -> HttpResponse:
    policy = policy_for_organization(developer.organization_id, policy_id)
    if request.method == "POST":
        throttle_writes(policy.organization_id)
        delete_policy(actor=developer_actor(request, developer), policy=policy)
        messages.success(request, _("Policy deleted. It no longer denies any requests."))
        return SeeOther(portal_url(developer.organization_id, "policies"))
    context = {
        "policy": policy,
        "rules": describe_rules(policy.rules, titles_for_developers(policy.organization_id)),
        "title": _("Delete %(policy)s?") % {"policy": plain_text(policy.name)},
        "confirm_label": _("Delete policy"),
        "back_url": _url(policy),
    }
    return render(request, "web/portal/policies/policy_delete.html", context)


def _saved(request: HttpRequest, policy: Policy) -> HttpResponse:
    messages.success(request, f"{_('Policy saved.')} {effect_of(policy)}")
    return SeeOther(_url(policy))


def _url(policy: Policy) -> str:
    return portal_url(policy.organization_id, "policy", policy.id)
