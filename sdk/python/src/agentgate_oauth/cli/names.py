"""Find objects by id or name, and show the names of agents beside their ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import cached_property
from typing import Protocol, TypeVar

from ..admin import AgentGateAdmin
from ..errors import NotFoundError
from ..models import ApiKey, Invitation, Member, NamedOrganization, Policy, ResourceServer
from .failures import USAGE, Failure
from .output import plain


class Named(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...


class Addressed(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def email(self) -> str: ...


Item = TypeVar("Item", bound=Named)
AddressedItem = TypeVar("AddressedItem", bound=Addressed)


def agent_id(api: AgentGateAdmin, wanted: str) -> str:
    """Return the id of an agent given by `agt_` id, `agc_` client id or name."""
    if wanted.startswith("agc_"):
        return api.get_agent(wanted).id
    return wanted if wanted.startswith("agt_") else _named("agent", wanted, api.iter_agents()).id


def find_policy(api: AgentGateAdmin, wanted: str) -> Policy:
    """Return the policy given by `pol_` id or name."""
    if wanted.startswith("pol_"):
        return api.get_policy(wanted)
    return _named("policy", wanted, api.iter_policies())


def find_resource_server(api: AgentGateAdmin, wanted: str) -> ResourceServer:
    """Return the resource server given by `res_` id, identifier or name."""
    if wanted.startswith("res_"):
        return api.get_resource_server(wanted)
    servers = list(api.iter_resource_servers())
    by_identifier = next((server for server in servers if server.identifier == wanted), None)
    return by_identifier or _named("resource server", wanted, servers)


def find_key(api: AgentGateAdmin, wanted: str) -> ApiKey:
    """Return the API key given by `key_` id or name."""
    keys = api.list_api_keys().items
    return next((key for key in keys if key.id == wanted), None) or _named("API key", wanted, keys)


def find_membership(api: AgentGateAdmin, wanted: str) -> NamedOrganization:
    """Return the organization of the signed-in user given by `org_` id or name."""
    mine = [membership.organization for membership in api.list_organizations()]
    return next((one for one in mine if one.id == wanted), None) or _named("organization", wanted, mine)


def find_member(api: AgentGateAdmin, wanted: str) -> Member:
    """Return the member given by `dev_` id or email address."""
    return _addressed("member", wanted, api.iter_members())


def find_invitation(api: AgentGateAdmin, wanted: str) -> Invitation:
    """Return the open invitation given by `inv_` id or email address."""
    return _addressed(
        "invitation", wanted, (one for one in api.iter_invitations() if one.status == "pending")
    )


def with_id(item: Named) -> str:
    return f"{item.name} ({item.id})" if item.name else item.id


def agent_with_id(api: AgentGateAdmin, agent_id: str | None) -> str | None:
    """Return the agent's name and id, or only the id for an agent of another organization."""
    try:
        return with_id(api.get_agent(agent_id)) if agent_id else None
    except NotFoundError:
        return agent_id


class AgentNames:
    """The names of the organization's agents, read at the first use."""

    def __init__(self, api: AgentGateAdmin) -> None:
        self._api = api

    def with_id(self, agent_id: str | None) -> str | None:
        """Return the agent's name and id, or only the id for an agent of another organization."""
        return self._known.get(agent_id, agent_id) if agent_id else None

    @cached_property
    def _known(self) -> dict[str, str]:
        return {agent.id: with_id(agent) for agent in self._api.iter_agents()}


def _named(kind: str, wanted: str, items: Iterable[Item]) -> Item:
    """Return the object with this name. Case matters only if several match otherwise. Raises Failure."""
    known = list(items)
    found = [item for item in known if item.name == wanted]
    found = found or [item for item in known if item.name.casefold() == wanted.casefold()]
    if len(found) > 1:
        raise _ambiguous(kind, found)
    if not found:
        raise _unknown(kind, wanted, [plain(item.name) for item in known])
    return found[0]


def _addressed(kind: str, wanted: str, items: Iterable[AddressedItem]) -> AddressedItem:
    """Return the object with this id or address. Raises Failure."""
    known = list(items)
    for item in known:
        if wanted == item.id or wanted.casefold() == item.email.casefold():
            return item
    raise _unknown(kind, wanted, [plain(item.email) for item in known])


def _ambiguous(kind: str, found: Sequence[Named]) -> Failure:
    candidates = [{"id": item.id, "name": plain(item.name)} for item in found]
    listed = "\n".join(f"  {row['id']}  {row['name']}" for row in candidates)
    detail = f"More than one {kind} has this name. Use the id."
    return Failure("ambiguous_name", detail, hint=listed, exit_code=USAGE, facts={"candidates": candidates})


def _unknown(kind: str, wanted: str, names: list[str]) -> Failure:
    near = ", ".join(get_close_matches(wanted, names, n=3))
    hint = f"Did you mean: {near}?" if near else f"List them with: agentgate {_GROUPS[kind]} list"
    return Failure("not_found", f"No {kind} is named “{plain(wanted)}”.", hint=hint)


_GROUPS = {
    "agent": "agents",
    "policy": "policies",
    "resource server": "resource-servers",
    "API key": "keys",
    "organization": "organizations",
    "member": "members",
    "invitation": "invitations",
}
