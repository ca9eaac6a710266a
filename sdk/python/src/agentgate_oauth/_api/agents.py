"""Agents, their secrets, and the developer's own API key."""

from __future__ import annotations

from collections.abc import Sequence

from .._base import Api
from .._call import UNSET, Unset, changed, create, get, given, patch, segment
from .._checks import listed, listed_or_unset
from .._decode import reader
from .._effects import Flow
from .._endpoint import endpoint, paged
from .._lists import page_of
from ..models import Agent, NewAgent, Page, RotatedApiKey, RotatedSecret


class AgentsApi(Api):
    @endpoint
    def create_agent(
        self,
        *,
        name: str,
        redirect_uris: Sequence[str],
        allowed_scopes: Sequence[str],
        description: str | None = None,
    ) -> Flow[NewAgent]:
        """Register an agent. Its `client_secret` is shown only once."""
        body = given(
            name=name,
            redirect_uris=listed("redirect_uris", redirect_uris, "redirect URIs"),
            allowed_scopes=listed("allowed_scopes", allowed_scopes, "scopes"),
            description=description,
        )
        return self._call(create("/agents", reader(NewAgent), body))

    @endpoint
    def list_agents(self, *, limit: int | None = None, cursor: str | None = None) -> Flow[Page[Agent]]:
        """Return one page of the organization's agents."""
        return self._call(get("/agents", page_of(Agent), limit=limit, cursor=cursor))

    iter_agents = paged(list_agents)

    @endpoint
    def get_agent(self, agent_id: str) -> Flow[Agent]:
        """Return the agent with this `agt_` or `agc_` id. Raises NotFoundError."""
        return self._call(get(f"/agents/{segment(agent_id)}", reader(Agent)))

    @endpoint
    def update_agent(
        self,
        agent_id: str,
        *,
        name: str | Unset = UNSET,
        description: str | None | Unset = UNSET,
        redirect_uris: Sequence[str] | Unset = UNSET,
        allowed_scopes: Sequence[str] | Unset = UNSET,
        status: str | Unset = UNSET,
    ) -> Flow[Agent]:
        """Change the given fields. `status` is "active" or "suspended"; suspending takes effect at once."""
        body = changed(
            name=name,
            description=description,
            redirect_uris=listed_or_unset("redirect_uris", redirect_uris, "redirect URIs"),
            allowed_scopes=listed_or_unset("allowed_scopes", allowed_scopes, "scopes"),
            status=status,
        )
        return self._call(patch(f"/agents/{segment(agent_id)}", reader(Agent), body))

    @endpoint
    def rotate_agent_secret(
        self, agent_id: str, *, overlap_seconds: int | None = None
    ) -> Flow[RotatedSecret]:
        """Replace the client secret. The old one keeps working for `overlap_seconds` (default: 0)."""
        path = f"/agents/{segment(agent_id)}/rotate-secret"
        return self._call(create(path, reader(RotatedSecret), given(overlap_seconds=overlap_seconds)))

    @endpoint
    def rotate_api_key(self, *, overlap_seconds: int | None = None) -> Flow[RotatedApiKey]:
        """Replace the developer's API key. This object keeps using the old key, so create a new one."""
        body = given(overlap_seconds=overlap_seconds)
        return self._call(create("/developers/api-keys/rotate", reader(RotatedApiKey), body))
