"""Find agents, policies and resource servers by id or name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Protocol, TypeVar

from ..admin import AgentGateAdmin
from .failures import USAGE, Failure
from .output import plain


class Named(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...


Item = TypeVar("Item", bound=Named)


def agent_id(api: AgentGateAdmin, wanted: str) -> str:
    """Return the id of an agent given by `agt_` id, `agc_` client id or name."""
    if wanted.startswith("agc_"):
        return api.get_agent(wanted).id
    return wanted if wanted.startswith("agt_") else _named("agent", wanted, api.iter_agents()).id


def policy_id(api: AgentGateAdmin, wanted: str) -> str:
    return wanted if wanted.startswith("pol_") else _named("policy", wanted, api.iter_policies()).id


def resource_server_id(api: AgentGateAdmin, wanted: str) -> str:
    """Return the id of a resource server given by `res_` id, identifier or name."""
    if wanted.startswith("res_"):
        return wanted
    servers = list(api.iter_resource_servers())
    by_identifier = next((server.id for server in servers if server.identifier == wanted), None)
    return by_identifier or _named("resource server", wanted, servers).id


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


def _ambiguous(kind: str, found: Sequence[Named]) -> Failure:
    candidates = [{"id": item.id, "name": plain(item.name)} for item in found]
    listed = "\n".join(f"  {row['id']}  {row['name']}" for row in candidates)
    detail = f"More than one {kind} has this name. Use the id."
    return Failure("ambiguous_name", detail, hint=listed, exit_code=USAGE, facts={"candidates": candidates})


def _unknown(kind: str, wanted: str, names: list[str]) -> Failure:
    near = ", ".join(get_close_matches(wanted, names, n=3))
    hint = f"Did you mean: {near}?" if near else f"List them with: agentgate {_GROUPS[kind]} list"
    return Failure("not_found", f"No {kind} is named “{plain(wanted)}”.", hint=hint)


_GROUPS = {"agent": "agents", "policy": "policies", "resource server": "resource-servers"}
