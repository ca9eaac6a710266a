"""Agents, their secrets, and API keys."""

from __future__ import annotations

from collections.abc import Sequence

from .._base import Api
from .._call import UNSET, Unset, changed, create, delete, get, given, patch, segment
from .._checks import listed, listed_or_none, listed_or_unset
from .._decode import reader
from .._effects import Flow
from .._endpoint import endpoint, paged
from .._lists import page_of
from ..models import (
    Agent,
    ApiKey,
    NewAgent,
    NewApiKey,
    NewClientSecret,
    Page,
    RotatedApiKey,
    RotatedSecret,
    Secret,
)


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
        homepage_url: str | None | Unset = UNSET,
        privacy_url: str | None | Unset = UNSET,
        logo_url: str | None | Unset = UNSET,
    ) -> Flow[Agent]:
        """Change the given fields. `status` is "active" or "suspended"; suspending takes effect at once.

        None clears a link or the logo, which the server fetches once from its address.
        """
        body = changed(
            name=name,
            description=description,
            redirect_uris=listed_or_unset("redirect_uris", redirect_uris, "redirect URIs"),
            allowed_scopes=listed_or_unset("allowed_scopes", allowed_scopes, "scopes"),
            status=status,
            homepage_url=homepage_url,
            privacy_url=privacy_url,
            logo_url=logo_url,
        )
        return self._call(patch(f"/agents/{segment(agent_id)}", reader(Agent), body))

    @endpoint
    def rotate_agent_secret(
        self, agent_id: str, *, overlap_seconds: int | None = None
    ) -> Flow[RotatedSecret]:
        """Replace all client secrets with a new one. The old ones work for `overlap_seconds` (default: 0)."""
        path = f"/agents/{segment(agent_id)}/rotate-secret"
        return self._call(create(path, reader(RotatedSecret), given(overlap_seconds=overlap_seconds)))

    @endpoint
    def list_client_secrets(self, agent_id: str) -> Flow[Page[Secret]]:
        """Return the agent's client secrets that work, newest first, without their values."""
        return self._call(get(f"/agents/{segment(agent_id)}/secrets", page_of(Secret)))

    @endpoint
    def create_client_secret(self, agent_id: str, *, name: str) -> Flow[NewClientSecret]:
        """Create another client secret. `name` says where it is used. It is shown only once."""
        path = f"/agents/{segment(agent_id)}/secrets"
        return self._call(create(path, reader(NewClientSecret), given(name=name)))

    @endpoint
    def rotate_client_secret(
        self, agent_id: str, secret_id: str, *, overlap_seconds: int | None = None
    ) -> Flow[NewClientSecret]:
        """Replace one client secret. The old one keeps working for `overlap_seconds` (default: 0)."""
        path = f"/agents/{segment(agent_id)}/secrets/{segment(secret_id)}/rotate"
        return self._call(create(path, reader(NewClientSecret), given(overlap_seconds=overlap_seconds)))

    @endpoint
    def revoke_client_secret(self, agent_id: str, secret_id: str) -> Flow[None]:
        """End one client secret. The agent's tokens and its other secrets keep working."""
        return self._call(delete(f"/agents/{segment(agent_id)}/secrets/{segment(secret_id)}"))

    @endpoint
    def list_api_keys(self) -> Flow[Page[ApiKey]]:
        """Return the API keys of the caller and of the organization itself that work, newest first.

        Their values are not part of it.
        """
        return self._call(get("/developers/api-keys", page_of(ApiKey)))

    @endpoint
    def create_api_key(
        self,
        *,
        name: str,
        role: str | None = None,
        agent_ids: Sequence[str] | None = None,
        expires_in_seconds: int | None = None,
        owned_by_organization: bool | None = None,
    ) -> Flow[NewApiKey]:
        """Create another API key, which is shown only once. By default it has the caller's role and no end.

        With `agent_ids`, it reaches only these agents, and creates nothing. A key that is
        `owned_by_organization` works after its maker has left, for at most a year, as developer or auditor.
        """
        body = given(
            name=name,
            role=role,
            agent_ids=listed_or_none("agent_ids", agent_ids, "agent ids"),
            expires_in_seconds=expires_in_seconds,
            owned_by_organization=owned_by_organization,
        )
        return self._call(create("/developers/api-keys", reader(NewApiKey), body))

    @endpoint
    def revoke_api_key(self, key_id: str) -> Flow[None]:
        """End one API key. The others keep working."""
        return self._call(delete(f"/developers/api-keys/{segment(key_id)}"))

    @endpoint
    def rotate_api_key(self, *, overlap_seconds: int | None = None) -> Flow[RotatedApiKey]:
        """Replace all of the developer's API keys with a new one.

        This object keeps using the old key, so create a new one.
        """
        body = given(overlap_seconds=overlap_seconds)
        return self._call(create("/developers/api-keys/rotate", reader(RotatedApiKey), body))

    @endpoint
    def rotate_one_api_key(self, key_id: str, *, overlap_seconds: int | None = None) -> Flow[NewApiKey]:
        """Replace one API key. The old one keeps working for `overlap_seconds` (default: 0)."""
        path = f"/developers/api-keys/{segment(key_id)}/rotate"
        return self._call(create(path, reader(NewApiKey), given(overlap_seconds=overlap_seconds)))
