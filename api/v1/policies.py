"""The organization's policies."""

from agents.models import Agent
from agents.selectors import agent_for_organization
from api.endpoint import DeveloperEndpoint
from api.operations import operation
from api.v1.schemas.pages import Page, PageQuery, paginate
from api.v1.schemas.policies import NewPolicyBody, PolicyOut, UpdatePolicyBody, show_policies
from core.errors import Invalid, NotFound, Throttled
from core.idempotency import Answer
from developers.roles import Right
from policies.models import Policy
from policies.quotas import MAX_BYTES, MAX_LIMITS, MAX_POLICIES, MAX_RULES, throttle_writes
from policies.selectors import policies_for_organization, policy_for_organization
from policies.services import create_policy, delete_policy, update_policy

BOUNDS = (
    f"An organization has at most {MAX_POLICIES} enabled policies, whose rules have at most {MAX_BYTES:,} bytes "
    f"together. At most {MAX_RULES} rules can apply to one agent, among them {MAX_LIMITS} limits or data flow guards."
)


class PolicyEndpoint(DeveloperEndpoint):
    def policy(self, policy_id: str) -> Policy:
        return policy_for_organization(self.organization_id, policy_id)

    def agent(self, agent_id: str | None) -> Agent | None:
        """Return the policy's agent, or None for all agents.

        Raises the same `Invalid` for an agent of another organization and for one that does not exist.
        """
        return own_agent(self.organization_id, agent_id) if agent_id is not None else None


def own_agent(organization_id: str, agent_id: str, field: str = "agentId") -> Agent:
    """Return the organization's agent. Raises `Invalid` that names the field."""
    try:
        return agent_for_organization(organization_id, agent_id)
    except NotFound as error:
        raise Invalid.field(field, "Must be one of your organization's agents.") from error


class Policies(PolicyEndpoint):
    @operation("listPolicies", "List the organization's policies", answer=Page[PolicyOut], right=Right.READ)
    def get(self, query: PageQuery) -> Page[PolicyOut]:
        rows = policies_for_organization(self.organization_id)
        return paginate(Page[PolicyOut], rows, query, show_policies)

    @operation(
        "createPolicy",
        "Create a policy",
        description="The policy applies to every verify request that starts after the response. A request is denied if "
        "any rule denies it. With the mode `shadow`, the policy denies nothing: it only logs a `policy.shadowed` entry "
        "for each allowed request that it would have denied or asked for. `actions` are scopes of the catalogue or of "
        "the organization, or a prefix of such scopes followed by `*`. An organization may write policies "
        "60 times per minute. " + BOUNDS,
        answer=PolicyOut,
        status=201,
        errors=(Throttled,),
        repeatable=True,
        request_example={
            "name": "100 requests per hour",
            "rules": [
                {"type": "rate_limit", "config": {"maxRequests": 100, "windowSeconds": 3600, "scope": "per_user"}}
            ],
        },
        right=Right.DEVELOP,
    )
    def post(self, body: NewPolicyBody) -> Answer:
        fields = dict(body)
        fields["agent"] = self.agent(fields.pop("agent_id"))
        throttle_writes(self.organization_id)

        def work() -> PolicyOut:
            organization = self.access.organization
            return PolicyOut.model_validate(create_policy(actor=self.actor, organization=organization, **fields))

        return self.answer_once(self.access.credential, work)


class OnePolicy(PolicyEndpoint):
    @operation("getPolicy", "Get a policy", answer=PolicyOut, right=Right.READ)
    def get(self, policy_id: str) -> PolicyOut:
        return PolicyOut.model_validate(self.policy(policy_id))

    @operation(
        "updatePolicy",
        "Update a policy",
        description="If `windowSeconds` or `scope` of a limit changes, what was counted before still counts. After a "
        "change of `scope`, the total counts for every user or agent until the window has passed.",
        answer=PolicyOut,
        errors=(Throttled,),
        right=Right.DEVELOP,
    )
    def patch(self, policy_id: str, body: UpdatePolicyBody) -> PolicyOut:
        policy = self.policy(policy_id)
        changes = body.sent()
        if "agent_id" in changes:
            changes["agent"] = self.agent(changes.pop("agent_id"))
        if changes:
            throttle_writes(policy.organization_id)
            policy = update_policy(actor=self.actor, policy=policy, changes=changes)
        return PolicyOut.model_validate(policy)

    @operation("deletePolicy", "Delete a policy", status=204, errors=(Throttled,), right=Right.DEVELOP)
    def delete(self, policy_id: str) -> None:
        policy = self.policy(policy_id)
        throttle_writes(policy.organization_id)
        delete_policy(actor=self.actor, policy=policy)
