"""The simulator: what one policy, or all policies in force, say about a request. It writes and counts nothing."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from agents.selectors import agents_for_organization
from decisions.whatif.simulation import Simulated, simulate_together
from developers.models import Developer
from limits.throttle import Subject, Throttle
from policies.models import Policy
from policies.rules import RuleContext
from policies.selectors import policies_in_force, policy_for_organization
from web.portal.policies.simulation_form import SimulationForm
from web.portal.policies.verdicts import describe_unknown, describe_verdicts
from web.requests.access import developer_page
from web.requests.paging import part_of


@require_safe
@developer_page
def simulate(request: HttpRequest, developer: Developer, policy_id: str = "") -> HttpResponse:
    organization_id = developer.organization_id
    policy = policy_for_organization(organization_id, policy_id) if policy_id else None
    agents = agents_for_organization(organization_id)
    if not request.GET:
        form = SimulationForm(initial={"agent": policy.agent if policy else None}, agents=agents)
        return _page(request, {"policy": policy, "form": form})
    form = SimulationForm(request.GET, agents=agents)
    if not form.is_valid():
        return _page(request, {"policy": policy, "form": form}, status=422)
    Throttle("simulate", settings.THROTTLE_SIMULATE).hit(Subject(f"organization:{organization_id}"))
    asked = form.request()
    policies = [Simulated.of(one) for one in _policies(organization_id, asked, policy)]
    simulation = simulate_together(policies, asked, organization_id=organization_id)
    part = part_of(request, describe_verdicts(simulation, policies))
    context: dict[str, Any] = {
        "policy": policy,
        "form": form,
        "outcome": simulation.outcome.value,
        "verdicts": part.items,
        "hints": describe_unknown(asked.asked, organization_id),
        "part": part,
    }
    return _page(request, context)


def _policies(organization_id: str, asked: RuleContext, policy: Policy | None) -> Sequence[Policy]:
    return [policy] if policy else list(policies_in_force(organization_id, asked.agent_id))


def _page(request: HttpRequest, context: dict[str, Any], status: int = 200) -> HttpResponse:
    name = "policy_simulate" if context["policy"] else "policy_simulator"
    return render(request, f"web/portal/policies/{name}.html", context, status=status)
