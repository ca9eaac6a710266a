"""Try the policy in the editor with one request or on the log. Nothing is saved."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, cast

from django.http import HttpRequest
from django.utils.translation import gettext as _

from agents.selectors import agents_for_organization
from decisions.whatif.simulation import (
    Simulated,
    replay_decisions,
    simulate_together,
    throttle_replay,
    throttle_simulation,
)
from developers.models import Developer
from policies.models import Policy
from policies.rules import parse_rules
from policies.selectors import policies_in_force
from web.forms.agent_field import AgentField
from web.forms.fields import as_typed
from web.portal.policies.forms import ENFORCED, PolicyEditor
from web.portal.policies.replays import Replayed, describe_replay
from web.portal.policies.simulation_form import SimulationForm
from web.portal.policies.verdicts import Verdict, describe_unknown, describe_verdicts

# The values of the "try" button. Any other value leaves the section unchanged.
OPEN, RUN, CLOSE = "open", "run", "close"
PREFIX = "try"
MOST_LISTED = 50
# Short, because the developer waits for the page.
REPLAY_SECONDS = 10.0


@dataclass(slots=True)
class Attempt:
    """The editor's section with the request. `form` is None while it is closed, and `outcome` is empty before a run."""

    form: SimulationForm | None = None
    is_run: bool = False
    outcome: str = ""
    verdicts: Sequence[Verdict] = ()
    left_out: int = 0
    hints: Sequence[str] = ()
    is_in_force: bool = True
    is_opened: bool = False

    @classmethod
    def read(cls, request: HttpRequest, developer: Developer, agent_id: str = "") -> Self:
        """Return the section as the HTTP request describes it. On a page not sent yet, it opens with this agent."""
        data = request.POST
        pressed = data.get("try") or request.GET.get("try")
        if pressed == CLOSE or (pressed not in (OPEN, RUN) and "trying" not in data):
            return cls()
        agents = agents_for_organization(developer.organization_id)
        form = SimulationForm(data if pressed == RUN else None, prefix=PREFIX, agents=agents)
        cast("AgentField", form.fields["agent"]).suggestions = []  # the suggestions of the policy's field serve both
        if pressed == OPEN:
            form.initial = {"agent": data.get("agent", agent_id)}
        elif pressed != RUN:
            form.initial = as_typed(form, data)
        return cls(form, is_run=pressed == RUN, is_opened=pressed == OPEN)

    @property
    def forms(self) -> list[SimulationForm]:
        return [self.form] if self.form else []


def try_draft(attempt: Attempt, editor: PolicyEditor, policy: Policy | None, organization_id: str) -> None:
    """Decide the request by the draft, in place of the policy, and the other policies in force, if everything is valid.

    Raises `DomainError`.
    """
    form = attempt.form
    if form is None or not all([editor.can_decide(organization_id), form.is_valid()]):
        return
    draft = _draft(editor, policy)
    throttle_simulation(organization_id)
    asked = form.request()
    agents = [link.agent_id for link in asked.chain] or [asked.agent_id]
    others = policies_in_force(organization_id, *agents).exclude(pk=draft.id)
    policies = [draft, *map(Simulated.of, others)]
    simulation = simulate_together(policies, asked, organization_id=organization_id)
    verdicts = describe_verdicts(simulation, policies, unsaved=draft, organization_id=organization_id)
    attempt.outcome = simulation.outcome.value
    attempt.verdicts, attempt.left_out = verdicts[:MOST_LISTED], max(len(verdicts) - MOST_LISTED, 0)
    attempt.hints = describe_unknown(asked.asked, organization_id)
    attempt.is_in_force = editor.fields.cleaned_data["status"] == ENFORCED


def replay_draft(editor: PolicyEditor, policy: Policy | None, organization_id: str, days: int) -> Replayed | None:
    """Decide the calls of the last days again with the draft in place of the policy. None if the draft is invalid.

    Raises `DomainError`.
    """
    if not editor.can_decide(organization_id):
        return None
    draft = _draft(editor, policy)
    throttle_replay(organization_id)
    report = replay_decisions(draft, organization_id=organization_id, days=days, most_seconds=REPLAY_SECONDS)
    return describe_replay(report, rules=draft.rules, organization_id=organization_id, days=days)


def _draft(editor: PolicyEditor, policy: Policy | None) -> Simulated:
    """Return the policy that the forms describe, which must be valid. Raises `InvalidRules` for too many rules."""
    rules, agent = editor.raw_rules(), editor.fields.cleaned_data["agent"]
    parse_rules(rules)
    return Simulated(_("This draft"), agent.id if agent else None, rules, policy)
