"""Request and response models for delegations."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from typing import Literal

from pydantic import Field

from agents.models import Agent
from api.v1.schemas.base import BlankLine, Moment, Omittable, Opaque, Out, Text, WholeNumber
from api.v1.schemas.consent import GivenLimits, PickBody, Scopes, ShownLimits
from api.v1.schemas.pages import PageQuery
from api.v1.schemas.tokens import MAX_SCOPES, ClientBody, GrantedDetailOut
from consent.details import MAX_DETAILS
from consent.targets import granted_details
from core import clock
from core.chains import MAX_DEPTH
from tokens.delegation_selectors import State, Use, read_states
from tokens.delegations import LIFETIME, MAX_LIFETIME, Delegated, Wanted
from tokens.models import Delegation

DEFAULT_SECONDS, MAX_SECONDS = int(LIFETIME.total_seconds()), int(MAX_LIFETIME.total_seconds())
MAX_TASK = 200


class NewDelegationBody(ClientBody):
    """What an agent hands to the client `to`, by a live access token of its own.

    `scopes` and `targets` are among what the agent has now; without `targets`, all of its own. A scope that is not
    bounded for the agent can be bounded here. `limits` bound the scopes as limits of a connection do. The delegation
    ends after `expiresInSeconds`, and with what it comes from.
    """

    token: Opaque = Field(description="An access token of this agent that acts for a user. It stays with this agent.")
    to: Text = Field(max_length=2000, description="The client id of the agent that receives.")
    scopes: Scopes = Field(min_length=1, max_length=MAX_SCOPES)
    targets: list[PickBody] = Field([], max_length=MAX_DETAILS)
    limits: GivenLimits = Field({}, max_length=MAX_SCOPES)
    expires_in_seconds: WholeNumber = Field(DEFAULT_SECONDS, ge=1, le=MAX_SECONDS)
    max_depth: Omittable[WholeNumber] = Field(
        None, ge=1, le=MAX_DEPTH, description="The longest chain of delegations, counted from the first agent."
    )
    task: BlankLine = Field("", max_length=MAX_TASK, description="A task to which all calls belong, too (data flow).")

    def wanted(self) -> Wanted:
        return Wanted(
            to=self.to,
            scopes=self.scopes,
            targets=[target.pick() for target in self.targets],
            limits=self.limits,
            lifetime=timedelta(seconds=self.expires_in_seconds),
            max_depth=self.max_depth,
            task=self.task,
        )


class NewDelegationOut(Out):
    """A new delegation. `delegationToken` is shown only once, and the other agent redeems it within a minute."""

    id: str
    delegation_token: str
    scopes: list[str]
    expires_at: Moment


class OwnDelegationsQuery(PageQuery):
    """The page, and the status of the delegations to list. With a status, a page can have fewer items than `limit`."""

    status: Omittable[Literal["active", "ended"]] = None


class DelegationsQuery(OwnDelegationsQuery):
    """Also whether agents of the organization `given` or `received` them, and which of its agents."""

    direction: Omittable[Literal["given", "received"]] = None
    agent_id: Omittable[Text] = Field(None, max_length=2000)


class DelegationAgentOut(Out):
    """An agent that hands over or receives."""

    id: str
    name: str


class SpentOut(Out):
    """An amount that was spent, including what is reserved."""

    value: str
    currency: str


class UseOut(Out):
    """What was used of a limit in its window until now, by the receiver and all to which it handed work on.

    `index` is the place of the limit among those of its scope. A limit that counts nothing, such as one on times, has
    no use.
    """

    scope: str
    index: int
    requests: Omittable[int] = None
    amount: Omittable[SpentOut] = None


class DelegationOut(Out):
    """What an agent handed to another one. It has `ended`, too, if anything above it has.

    `parentId` is the delegation by which the agent that handed over acts itself, or null for the first agent. The user
    and the organization of the agent that handed over see all of it. Other organizations see of `limits` only those
    that count something, no `targets` and no `task`, because they can be personal.
    """

    id: str
    parent_id: str | None
    from_: DelegationAgentOut = Field(serialization_alias="from")
    to: DelegationAgentOut
    scopes: list[str]
    targets: list[GrantedDetailOut]
    limits: ShownLimits
    used: list[UseOut]
    status: Literal["active", "ended"]
    task: str
    max_depth: int
    expires_at: Moment
    created_at: Moment


class EndDelegationBody(ClientBody):
    """Nothing, or the credentials of an agent."""


def show_new_delegation(made: Delegated) -> NewDelegationOut:
    row = made.delegation
    return NewDelegationOut(id=row.id, delegation_token=made.token, scopes=row.scopes, expires_at=row.expires_at)


def show_delegations(
    rows: Sequence[Delegation], status: str | None = None, *, organization_id: str | None = None
) -> list[DelegationOut]:
    """Return the delegations as they are now: those with the status, or all.

    An organization sees a part of what another one's agents handed over. Without it, the reader is the user.
    """
    states = read_states(rows, clock.now())
    return [
        _show(state, is_whole=organization_id in (None, state.delegation.from_agent.organization_id))
        for state in states
        if status in (None, state.status)
    ]


def show_delegation(row: Delegation, *, organization_id: str | None) -> DelegationOut:
    (shown,) = show_delegations([row], organization_id=organization_id)
    return shown


def _show(state: State, *, is_whole: bool) -> DelegationOut:
    row, uses = state.delegation, state.uses_for(is_giver=is_whole)
    return DelegationOut(
        id=row.id,
        parent_id=row.parent_id,
        from_=_show_agent(row.from_agent),
        to=_show_agent(row.to_agent),
        scopes=row.scopes,
        targets=[GrantedDetailOut(**detail) for detail in granted_details(row.targets if is_whole else {}, row.scopes)],
        limits={scope: [use.limit for use in found] for scope, found in groupby(uses, key=attrgetter("scope"))},
        used=list(_show_uses(uses)),
        status=state.status.value,
        task=row.task if is_whole else "",
        max_depth=row.max_depth,
        expires_at=row.expires_at,
        created_at=row.created_at,
    )


def _show_agent(agent: Agent) -> DelegationAgentOut:
    return DelegationAgentOut(id=agent.id, name=agent.name)


def _show_uses(uses: Sequence[Use]) -> Iterator[UseOut]:
    for _scope, found in groupby(uses, key=attrgetter("scope")):
        for index, use in enumerate(found):
            if use.amount:
                yield UseOut(scope=use.scope, index=index, amount=SpentOut(**use.amount))
            elif isinstance(use.used, int):
                yield UseOut(scope=use.scope, index=index, requests=use.used)
