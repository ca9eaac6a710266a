"""Find things by id or by name."""

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


Thing = TypeVar("Thing", bound=Named)


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


def _named(kind: str, wanted: str, things: Iterable[Thing]) -> Thing:
    """Return the one thing of that name; case matters only if it decides. Raises Failure."""
    known = list(things)
    found = [thing for thing in known if thing.name == wanted]
    found = found or [thing for thing in known if thing.name.casefold() == wanted.casefold()]
    if len(found) > 1:
        raise _ambiguous(kind, found)
    if not found:
        raise _unknown(kind, wanted, [plain(thing.name) for thing in known])
    return found[0]


def _ambiguous(kind: str, found: Sequence[Named]) -> Failure:
    candidates = [{"id": thing.id, "name": plain(thing.name)} for thing in found]
    listed = "\n".join(f"  {row['id']}  {row['name']}" for row in candidates)
    detail = f"More than one {kind} has this name. Use an id."
    return Failure("ambiguous_name", detail, hint=listed, exit_code=USAGE, facts={"candidates": candidates})


def _unknown(kind: str, wanted: str, names: list[str]) -> Failure:
    near = ", ".join(get_close_matches(wanted, names, n=3))
    hint = f"Did you mean: {near}?" if near else f"List them with: agentgate {_GROUPS[kind]} list"
    return Failure("not_found", f"No {kind} is named “{plain(wanted)}”.", hint=hint)


_GROUPS = {"agent": "agents", "policy": "policies", "resource server": "resource-servers"}
