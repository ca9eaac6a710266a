"""Hand work from one agent to another, list what was handed over, and end it."""

from functools import partial
from typing import Any, cast

from rest_framework.request import Request

from accounts.models import User
from agents.errors import EverythingStopped, InvalidClient
from agents.models import Agent
from api.authentication import BrowserCredential, SessionCredential
from api.clients import DuplicateClientCredentials, client_of, sends_basic
from api.endpoint import DeveloperEndpoint
from api.operations import operation
from api.v1.schemas.delegations import (
    DelegationOut,
    DelegationsQuery,
    EndDelegationBody,
    NewDelegationBody,
    NewDelegationOut,
    OwnDelegationsQuery,
    show_delegation,
    show_delegations,
    show_new_delegation,
)
from api.v1.schemas.pages import Page, paginate
from api.v1.schemas.tokens import ClientBody
from api.v1.users import OwnEndpoint
from consent.selectors import current_consent
from core.errors import NotFound, Throttled
from core.http import BASIC_CHALLENGE
from core.idempotency import TOKEN_ANSWER_LIFETIME, Answer
from developers.access import Access
from developers.roles import Right
from developers.selectors import memberships_of
from resources.errors import InvalidScope
from tokens.delegation_selectors import (
    ABSENT,
    delegation_below,
    delegations_of,
    delegations_of_organization,
    find_own_delegation,
)
from tokens.delegations import MAX_LIVE, create_delegation, end_delegation, throttle_delegations
from tokens.errors import DelegationNotAllowed, InvalidGrant, TargetNotHeld
from tokens.models import Delegation

CREDENTIALS = {"clientId", "clientSecret"}


class AgentsToo(DeveloperEndpoint):
    """An endpoint for developers and, as the operation says, also or only for agents with client credentials."""

    def get_authenticators(self) -> list[Any]:
        if not self._is_for_agents:
            return super().get_authenticators()
        self.challenge = BASIC_CHALLENGE
        return []

    @property
    def _is_for_agents(self) -> bool:
        """Whether an agent calls, judged by the headers. While OpenAPI is generated, `request` is None."""
        request: Request | None = self.request
        if request is None or not hasattr(self, (request.method or "").lower()):
            return False
        agents = self._requested.agents
        return agents == "only" or (agents == "also" and sends_basic(request))

    def client(self, body: ClientBody) -> Agent:
        """Return the authenticated agent, and make it the actor."""
        agent = client_of(self.request.headers, body, self.actor)
        self.actor = self.actor.acting_as("agent", agent.id)
        return agent


class Delegations(AgentsToo):
    def identify(self) -> None:
        if not self._is_for_agents:
            super().identify()

    @operation(
        "listDelegations",
        "List what agents of the organization handed over and received, newest first",
        description="A tree by `parentId`. `agentId` is the id or client id of one of the organization's agents.",
        answer=Page[DelegationOut],
        errors=(NotFound,),
        right=Right.READ,
        about_agents=True,
    )
    def get(self, query: DelegationsQuery) -> Page[DelegationOut]:
        agent_ids = [self.own_agent(query.agent_id).id] if query.agent_id else self.access.agent_ids
        is_given = None if query.direction is None else query.direction == "given"
        rows = delegations_of_organization(self.organization_id, is_given=is_given, agent_ids=agent_ids)
        show = partial(show_delegations, status=query.status, organization_id=self.organization_id)
        return paginate(Page[DelegationOut], rows, query, show)

    @operation(
        "createDelegation",
        "Hand work to another agent",
        description="For an agent with client credentials. The user decides by the consent's `delegation` to which "
        "agents: an agent to which it may not hand work looks like one that does not exist. A delegation only narrows: "
        "what is removed from this agent later is also removed from all to which it handed work on, and all of their "
        f"calls count for its limits. At most {MAX_LIVE} delegations of a connection can be live at a time.",
        answer=NewDelegationOut,
        status=201,
        errors=(
            InvalidGrant,
            InvalidScope,
            TargetNotHeld,
            DelegationNotAllowed,
            InvalidClient,
            DuplicateClientCredentials,
            Throttled,
            EverythingStopped,
        ),
        repeatable=True,
        agents="only",
        request_example={
            "token": "eyJhbGciOi...",
            "to": "agc_1f0c2b3d...",
            "scopes": ["email:read"],
            "expiresInSeconds": 900,
            "task": "Summarize the inbox",
        },
    )
    def post(self, body: NewDelegationBody) -> Answer:
        agent = self.client(body)
        throttle_delegations(agent, body.token)

        def work() -> NewDelegationOut:
            made = create_delegation(actor=self.actor, agent=agent, token=body.token, wanted=body.wanted())
            return show_new_delegation(made)

        return self.answer_once(agent.client_id, work, lifetime=TOKEN_ANSWER_LIFETIME)


class OwnDelegations(OwnEndpoint):
    @operation(
        "listUserDelegations",
        "List what was handed over under a consent, newest first",
        description="A tree by `parentId`. The id of a replaced consent lists those of the consent that replaced it.",
        answer=Page[DelegationOut],
    )
    def get(self, user_id: str, consent_id: str, query: OwnDelegationsQuery) -> Page[DelegationOut]:
        rows = delegations_of(current_consent(self.user, consent_id))
        return paginate(Page[DelegationOut], rows, query, lambda found: show_delegations(found, query.status))


class EndDelegation(AgentsToo):
    """The delegation exists only for its user, the agents above it, and the developers of these agents."""

    own: Delegation | None = None

    def identify(self) -> None:
        if self._is_client:
            return
        if isinstance(self.request.auth, (SessionCredential, BrowserCredential)):
            self.own = find_own_delegation(cast("User", self.request.user), self.kwargs["delegation_id"])
        if self.own is None:
            super().identify()
        else:
            self.actor = self.actor.acting_as("user", self.own.user_id)

    @property
    def _is_client(self) -> bool:
        data: Any = self.request.data
        return self._is_for_agents or (isinstance(data, dict) and not data.keys().isdisjoint(CREDENTIALS))

    def _access_of_user(self, user: User) -> Access:
        if not memberships_of(user).exists():
            raise NotFound(ABSENT)
        return super()._access_of_user(user)

    @operation(
        "endDelegation",
        "End a delegation and all below it",
        description="For the user, the agent that handed over, the agents above it in the chain, and the developers of "
        "these agents. An agent sends its client credentials. No verify request that starts after the response is "
        "allowed by the delegation or by what was handed on from it. Ending it twice changes nothing.",
        answer=DelegationOut,
        errors=(InvalidClient, DuplicateClientCredentials, Throttled),
        right=Right.DEVELOP,
        about_agents=True,
        while_deleting=True,
        agents="also",
    )
    def post(self, delegation_id: str, body: EndDelegationBody) -> DelegationOut:
        delegation, organization_id = self._found(delegation_id, body)
        ended = end_delegation(actor=self.actor, delegation=delegation)
        return show_delegation(ended, organization_id=organization_id)

    def _found(self, delegation_id: str, body: EndDelegationBody) -> tuple[Delegation, str | None]:
        """Return the delegation, and the organization for which the caller sees it: None for its user."""
        if self.own is not None:
            return self.own, None
        if self._is_client:
            agent = self.client(body)
            # Anyone knows the id of a client without a secret.
            giver = {"from_agent": agent, "from_agent__client_type": Agent.CLIENT_CONFIDENTIAL}
            return delegation_below(delegation_id, **giver), agent.organization_id
        ids = self.access.agent_ids
        reach = {} if ids is None else {"from_agent__in": ids}
        with self.access.hiding_absence():
            found = delegation_below(delegation_id, from_agent__organization=self.organization_id, **reach)
        return found, self.organization_id
