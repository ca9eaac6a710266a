"""Policies of one agent, or of all agents of an organization."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from .._base import Api
from .._call import UNSET, Call, Unset, camel, changed, create, delete, get, given, patch, segment
from .._checks import listed
from .._decode import reader
from .._effects import Flow
from .._endpoint import endpoint, paged
from .._lists import page_of
from ..errors import UnexpectedResponseError
from ..models import Page, Policy, Replay, Rule, Simulation

T = TypeVar("T")
AnyRule = Rule | Mapping[str, Any]
AnyPolicy = Policy | Mapping[str, Any]
# The longest that the server spends on one replay.
_REPLAY_SECONDS = 30.0


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
        mode: str | None = None,
    ) -> Flow[Policy]:
        """Create a policy for one agent or, without `agent_id`, for every agent of the organization.

        With the `mode` "shadow" it denies nothing, and logs what it would have denied.
        """
        body = given(
            name=name,
            rules=rules_as_json(rules),
            agent_id=agent_id,
            description=description,
            enabled=enabled,
            mode=mode,
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
        mode: str | Unset = UNSET,
        rules: Sequence[AnyRule] | Unset = UNSET,
    ) -> Flow[Policy]:
        """Change the given fields; `rules` replaces all rules. They apply to the next decision."""
        body = changed(
            name=name,
            description=description,
            agent_id=agent_id,
            enabled=enabled,
            mode=mode,
            rules=rules if isinstance(rules, Unset) else rules_as_json(rules),
        )
        return self._call(patch(f"/policies/{segment(policy_id)}", reader(Policy), body))

    @endpoint
    def delete_policy(self, policy_id: str) -> Flow[None]:
        """Delete the policy. Raises NotFoundError."""
        return self._call(delete(f"/policies/{segment(policy_id)}"))

    @endpoint
    def simulate(
        self,
        *,
        request: Mapping[str, Any],
        policy: AnyPolicy | None = None,
        policy_id: str | None = None,
    ) -> Flow[Simulation]:
        """Return what a policy says about one request. Nothing is written or counted.

        `policy` is a draft, such as `{"rules": [...]}`; `policy_id` names a stored policy; both together try
        the draft in its place. `request` has `agent_id`, `required_scopes` and optionally `user_id`,
        `action`, `resource`, `context`, and `at` (a datetime).
        """
        body = given(policy=_draft(policy), policy_id=policy_id, request=_simulated(request))
        return self._call(Call("POST", "/policies/simulate", _member("decision", Simulation), json=body))

    @endpoint
    def replay(
        self,
        *,
        days: int,
        policy: AnyPolicy | None = None,
        policy_id: str | None = None,
    ) -> Flow[Replay]:
        """Decide the logged requests of the last days again, and return what the policy would have changed.

        `policy` and `policy_id` are those of `simulate`. A replay can take 20 seconds.
        """
        body = given(policy=_draft(policy), policy_id=policy_id, replay={"days": days})
        read = _member("replay", Replay)
        return self._call(Call("POST", "/policies/simulate", read, json=body, patience=_REPLAY_SECONDS))


def _draft(policy: AnyPolicy | None) -> dict[str, Any] | None:
    if policy is None:
        return None
    if isinstance(policy, Policy):
        return {"name": policy.name, "agentId": policy.agent_id, "rules": rules_as_json(policy.rules)}
    draft = {camel(name): value for name, value in policy.items()}
    return {**draft, "rules": rules_as_json(draft["rules"])} if "rules" in draft else draft


def _simulated(request: Mapping[str, Any]) -> dict[str, Any]:
    return {
        camel(name): value.isoformat() if isinstance(value, datetime) else value
        for name, value in request.items()
    }


def _member(name: str, model: type[T]) -> Callable[[Any], T]:
    """Return a function that reads one member of the response, which must be there."""
    read = reader(model)

    def parse(document: Any) -> T:
        if not isinstance(document, dict) or document.get(name) is None:
            raise UnexpectedResponseError(f"{name} is missing")
        return read(document[name])

    return parse


def rules_as_json(rules: Sequence[AnyRule]) -> list[dict[str, Any]]:
    return [
        {"type": rule.type, "config": dict(rule.config)} if isinstance(rule, Rule) else dict(rule)
        for rule in listed("rules", rules, "rules")
    ]
