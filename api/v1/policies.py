"""The organization's policies."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from agents.models import Agent
from agents.selectors import agent_for_organization
from api.endpoint import DeveloperEndpoint
from api.operations import operation, page_of
from api.pagination import PageQuery, paginate, read_query
from api.v1.shapes.policies import NewPolicy, Policy, PolicyChanges
from core.errors import Invalid, NotFound
from core.idempotency import Answer
from policies.models import Policy as PolicyRow
from policies.selectors import policies_for_organization, policy_for_organization
from policies.services import create_policy, delete_policy, update_policy


class PolicyEndpoint(DeveloperEndpoint):
    def policy(self, policy_id: str) -> PolicyRow:
        return policy_for_organization(self.developer.organization_id, policy_id)

    def agent(self, agent_id: str | None) -> Agent | None:
        """Return the agent that a policy is for. Raises `Invalid`, the same for somebody else's and for none."""
        if agent_id is None:
            return None
        try:
            return agent_for_organization(self.developer.organization_id, agent_id)
        except NotFound as error:
            raise Invalid.field("agentId", "Must be one of your organization's agents.") from error


class Policies(PolicyEndpoint):
    @operation("listPolicies", "List the organization's policies", query=PageQuery, answer=page_of(Policy))
    def get(self, request: Request) -> Response:
        query = read_query(request, PageQuery)
        rows = policies_for_organization(self.developer.organization_id)
        return paginate(rows, query, lambda policies: Policy(policies, many=True).data)

    @operation(
        "createPolicy",
        "Create a policy",
        description="A rule that denies wins. It counts for every verify that starts after the answer. `actions` name "
        "scopes of the catalogue or of the organization, or a beginning of such scopes and `*`.",
        body=NewPolicy,
        answer=Policy,
        status=201,
        repeatable=True,
        request_example={
            "name": "Not too often",
            "rules": [
                {"type": "rate_limit", "config": {"maxRequests": 100, "windowSeconds": 3600, "scope": "per_user"}}
            ],
        },
    )
    def post(self, request: Request) -> Answer:
        body = self.read(NewPolicy)
        agent = self.agent(body.pop("agentId"))

        def work() -> Answer:
            organization = self.developer.organization
            policy = create_policy(actor=self.actor, organization=organization, agent=agent, **body)
            return Answer(201, Policy(policy).data)

        return self.answer_once(self.developer.id, work)


class OnePolicy(PolicyEndpoint):
    @operation("getPolicy", "Show a policy", answer=Policy)
    def get(self, request: Request, policy_id: str) -> Response:
        return Response(Policy(self.policy(policy_id)).data)

    @operation(
        "updatePolicy",
        "Change a policy",
        description="A limit whose `windowSeconds` or `scope` changes starts from what was counted before. After a "
        "change of `scope` the total is charged to every person or agent, until the window has passed.",
        body=PolicyChanges,
        answer=Policy,
    )
    def patch(self, request: Request, policy_id: str) -> Response:
        body = self.read(PolicyChanges, partial=True)
        policy = self.policy(policy_id)
        changes: dict[str, Any] = {name: value for name, value in body.items() if name != "agentId"}
        if "agentId" in body:
            changes["agent"] = self.agent(body["agentId"])
        if changes:
            policy = update_policy(actor=self.actor, policy=policy, changes=changes)
        return Response(Policy(policy).data)

    @operation("deletePolicy", "Delete a policy", status=204)
    def delete(self, request: Request, policy_id: str) -> Response:
        delete_policy(actor=self.actor, policy=self.policy(policy_id))
        return Response(status=204)
