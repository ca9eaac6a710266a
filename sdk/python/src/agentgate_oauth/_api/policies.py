"""Policies of one agent, or of all agents of an organization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._base import Api
from .._call import UNSET, Unset, changed, create, delete, get, given, patch, segment
from .._checks import listed
from .._decode import reader
from .._effects import Flow
from .._endpoint import endpoint, paged
from .._lists import page_of
from ..models import Page, Policy, Rule

AnyRule = Rule | Mapping[str, Any]


class PoliciesApi(Api):
    @endpoint
    def create_policy(
        self,
        *,
        name: str,
        rules: Sequence[AnyRule],
        agent_id: str | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Flow[Policy]:
        """Create a policy for one agent or, without `agent_id`, for every agent of the organization."""
        body = given(
            name=name,
            rules=_rules(rules),
            agent_id=agent_id,
            description=description,
            enabled=enabled,
        )
        return self._call(create("/policies", reader(Policy), body))

    @endpoint
    def list_policies(self, *, limit: int | None = None, cursor: str | None = None) -> Flow[Page[Policy]]:
        """Return one page of the organization's policies."""
        return self._call(get("/policies", page_of(Policy), limit=limit, cursor=cursor))

    iter_policies = paged(list_policies)

    @endpoint
    def get_policy(self, policy_id: str) -> Flow[Policy]:
        """Return the policy. Raises NotFoundError."""
        return self._call(get(f"/policies/{segment(policy_id)}", reader(Policy)))

    @endpoint
    def update_policy(
        self,
        policy_id: str,
        *,
        name: str | Unset = UNSET,
        description: str | None | Unset = UNSET,
        agent_id: str | None | Unset = UNSET,
        enabled: bool | Unset = UNSET,
        rules: Sequence[AnyRule] | Unset = UNSET,
    ) -> Flow[Policy]:
        """Change the given fields; `rules` replaces all rules. They apply to the next decision."""
        body = changed(
            name=name,
            description=description,
            agent_id=agent_id,
            enabled=enabled,
            rules=rules if isinstance(rules, Unset) else _rules(rules),
        )
        return self._call(patch(f"/policies/{segment(policy_id)}", reader(Policy), body))

    @endpoint
    def delete_policy(self, policy_id: str) -> Flow[None]:
        """Delete the policy. Raises NotFoundError."""
        return self._call(delete(f"/policies/{segment(policy_id)}"))


def _rules(rules: Sequence[AnyRule]) -> list[dict[str, Any]]:
    return [
        {"type": rule.type, "config": dict(rule.config)} if isinstance(rule, Rule) else dict(rule)
        for rule in listed("rules", rules, "rules")
    ]
