"""`AgentGateAdmin`: manage an organization, its agents, policies and services, and read the audit log."""

from __future__ import annotations

from typing import Generic, TypeVar

import httpx

from ._api.agents import AgentsApi
from ._api.audit import AuditApi
from ._api.delegations import DelegationsApi
from ._api.events import EventsApi
from ._api.members import MembersApi
from ._api.organizations import OrganizationsApi
from ._api.policies import PoliciesApi
from ._api.resource_servers import ResourceServersApi
from ._base import DEFAULT_TIMEOUT_SECONDS, AsyncApi, SyncApi
from ._call import Credential
from ._retry import RetryPolicy

HttpT = TypeVar("HttpT")


class AdminApi(
    OrganizationsApi,
    MembersApi,
    AgentsApi,
    PoliciesApi,
    ResourceServersApi,
    DelegationsApi,
    AuditApi,
    EventsApi,
    Generic[HttpT],
):
    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        session_token: str | None = None,
        organization: str | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        retry: RetryPolicy | None = None,
        http_client: HttpT | None = None,
        allow_http: bool = False,
    ) -> None:
        """Connect with an API key, or with the session token that a sign-in returned.

        `organization` is the `org_` id of the one to act for, if the session's user is a member of several.
        An API key acts for its own organization, and is refused with the id of another.
        """
        if bool(api_key) == bool(session_token):
            given = "both are" if api_key else "neither is"
            raise ValueError(f'pass either api_key ("ag_...") or session_token ("st_..."): {given} set')
        headers = {"X-Api-Key": api_key} if api_key else {"Authorization": f"Bearer {session_token}"}
        if organization:
            headers["X-Organization"] = organization
        super().__init__(
            base_url,
            Credential(headers),
            timeout=timeout,
            retry=retry,
            http_client=http_client,
            allow_http=allow_http,
        )


class AgentGateAdmin(AdminApi[httpx.Client], SyncApi):
    """A connection to AgentGate that acts for an organization. Safe to share between threads."""


class AsyncAgentGateAdmin(AdminApi[httpx.AsyncClient], AsyncApi):
    """The asynchronous version of `AgentGateAdmin`."""
