"""Whatever ends work that was handed on ends it at once: no verify that starts after the answer is allowed.

Each end is raced at one depth of a chain of five agents, each of another developer. All that is below ends with it, and
what is above goes on. In soak, each end is raced at each depth.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from accounts.services import deactivate_user
from agents.deletion import delete_agent
from agents.models import Agent
from agents.services import stop_agent, update_agent
from consent.connections import Choice
from consent.granting import approve_consent
from consent.narrowing import Narrowing, narrow_consent
from consent.pausing import pause_agent, pause_all_agents
from consent.services import revoke_consent
from core import clock
from core.actor import SYSTEM
from core.locks import hold_revocations
from decisions.requests import Decision
from developers.domains import remove_domain
from developers.models import DomainClaim, Organization
from developers.profiles import update_organization
from developers.services import suspend_organization, verify_organization
from developers.stopping import stop_organization
from tests.decisions.drivers import Decide, asking, decide_on_django, event_loop, forget
from tests.threads import race
from tests.waiting import wait_until
from tests.world import (
    Grant,
    as_owner,
    as_user,
    hand_over,
    let_delegate,
    make_agent,
    make_developer,
)
from tests.world import ask as ask_for_consent
from tokens.delegations import end_delegation
from tokens.families import family_of
from tokens.models import Delegation
from tokens.services import revoke_family

pytestmark = pytest.mark.django_db(transaction=True)

DEPTH = 4
SCOPES = ["email:read", "email:send"]
VERIFIES_BEFORE, VERIFIES_AFTER = 2, 4


@dataclass
class Chain:
    """Agents from the first to the last, each with an access token. The delegation at `n` made the token at `n + 1`."""

    grant: Grant
    agents: list[Agent]
    tokens: list[str]
    delegations: list[Delegation] = field(default_factory=list)

    def owner(self, place: int) -> Organization:
        organization = self.agents[place].organization
        assert organization is not None
        return Organization.objects.get(pk=organization.pk)


@pytest.fixture
def chain(grant: Grant) -> Chain:
    forget()
    let_delegate(grant.access_token, "verified")
    chain = Chain(grant, [grant.agent], [grant.access_token])
    for place in range(1, DEPTH + 1):
        developer = make_developer(f"dev{place}@example.com", f"Developer {place}")
        own = Organization.objects.filter(pk=developer.organization_id)
        own.update(is_verified=True, verified_with=f"dev{place}.example", domain=f"dev{place}.example")
        DomainClaim.objects.create(
            organization=developer.organization, name=f"dev{place}.example", created_at=clock.now()
        )
        agent = make_agent(developer, name=f"Agent {place}", allowed_scopes=SCOPES)
        delegation, issued = hand_over(chain.tokens[-1], agent, SCOPES)
        chain.agents.append(agent)
        chain.tokens.append(issued.access_token)
        chain.delegations.append(delegation)
    return chain


def user_of(chain: Chain) -> Any:
    return as_user(chain.grant.user)


def end_one(chain: Chain, depth: int) -> None:
    end_delegation(actor=user_of(chain), delegation=chain.delegations[depth - 1])


def revoke_tokens(chain: Chain, depth: int) -> None:
    family = family_of(chain.tokens[depth - 1])
    assert family is not None
    revoke_family(actor=SYSTEM, family=family, reason="test")


def stop_giver(chain: Chain, depth: int) -> None:
    stop_agent(actor=SYSTEM, agent=chain.agents[depth - 1], reason="test")


def suspend_giver(chain: Chain, depth: int) -> None:
    update_agent(actor=SYSTEM, agent=chain.agents[depth - 1], changes={"status": "suspended"})


def delete_giver(chain: Chain, depth: int) -> None:
    delete_agent(actor=SYSTEM, agent=chain.agents[depth - 1])


def suspend_developer(chain: Chain, depth: int) -> None:
    suspend_organization(actor=SYSTEM, organization=chain.owner(depth - 1), reason="test")


def stop_developer(chain: Chain, depth: int) -> None:
    organization = chain.owner(depth - 1)
    stop_organization(actor=as_owner(organization), organization=organization, reason="test")


def take_scope_from_giver(chain: Chain, depth: int) -> None:
    update_agent(actor=SYSTEM, agent=chain.agents[depth - 1], changes={"allowed_scopes": ["email:send"]})


def doubt_receiver(chain: Chain, depth: int) -> None:
    assert verify_organization(actor=SYSTEM, organization=chain.owner(depth), is_verified=False, reason="test")


def rename_receiver(chain: Chain, depth: int) -> None:
    organization = chain.owner(depth)
    assert update_organization(actor=as_owner(organization), organization=organization, name="Another")


def take_domain_from_receiver(chain: Chain, depth: int) -> None:
    organization = chain.owner(depth)
    remove_domain(actor=as_owner(organization), organization=organization)


def narrow(chain: Chain, depth: int, **changes: Any) -> None:
    user, consent = chain.grant.user, chain.grant.consent
    narrow_consent(actor=user_of(chain), user=user, consent=consent, narrowing=Narrowing(**changes))


def replace(chain: Chain, depth: int) -> None:
    """Grant the same again, without leave to hand it on."""
    consent = ask_for_consent(chain.grant.agent, scopes=SCOPES)
    choice = Choice(delegation="none")
    approve_consent(
        actor=user_of(chain), consent=consent, user=chain.grant.user, choice=choice, signed_in_at=clock.now()
    )


def revoke_connection(chain: Chain, depth: int) -> None:
    revoke_consent(actor=user_of(chain), consent=chain.grant.consent)


def pause(chain: Chain, depth: int) -> None:
    pause_agent(actor=user_of(chain), consent=chain.grant.consent)


def pause_all(chain: Chain, depth: int) -> None:
    pause_all_agents(actor=user_of(chain), user=chain.grant.user)


def deactivate(chain: Chain, depth: int) -> None:
    deactivate_user(actor=SYSTEM, user=chain.grant.user, reason="test")


type End = Callable[[Chain, int], None]

# Those that end a part of the chain, and why what is below is denied.
BELOW: dict[str, tuple[End, str]] = {
    "a delegation": (end_one, "delegation_ended"),
    "the tokens of an agent": (revoke_tokens, "delegation_ended"),
    "an agent, by an administrator": (stop_giver, "delegation_ended"),
    "an agent, by its developer": (suspend_giver, "delegation_ended"),
    "an organization, by an administrator": (suspend_developer, "delegation_ended"),
    "an organization, by its members": (stop_developer, "delegation_ended"),
    "a scope of an agent": (take_scope_from_giver, "insufficient_scope"),
    "the verification of a developer": (doubt_receiver, "delegation_ended"),
    "the name of a verified developer": (rename_receiver, "delegation_ended"),
    "the domain of a verified developer": (take_domain_from_receiver, "delegation_ended"),
    "an agent, deleted": (delete_giver, "delegation_ended"),
}
# Those that end all of it, and whether the first agent goes on.
ALL: dict[str, tuple[End, str]] = {
    "the leave to hand work on": (partial(narrow, delegation="developer"), "delegation_ended"),
    "the consent, by another one": (replace, "delegation_ended"),
    "a scope of the connection": (partial(narrow, remove_scopes=["email:read"]), "insufficient_scope"),
    "a pause of the agent": (pause, "consent_paused"),
    "a pause of all agents": (pause_all, "consent_paused"),
    "the connection": (revoke_connection, "consent_revoked"),
    "the user": (deactivate, "user_inactive"),
}
# From the last agent upwards, each at a depth at which the chain still holds: most ends also stop the agent above them.
DESCENTS = (
    {4: "an agent, by an administrator", 2: "the verification of a developer", 1: "the tokens of an agent"},
    {4: "the name of a verified developer", 3: "an agent, by its developer", 1: "a scope of an agent"},
    {4: "a delegation", 3: "an agent, deleted", 1: "an organization, by its members"},
    {4: "the domain of a verified developer", 3: "an organization, by an administrator", 1: "a delegation"},
)
QUICK = "the leave to hand work on"


@pytest.mark.parametrize("ends", DESCENTS, ids=[f"descent {number}" for number in range(len(DESCENTS))])
def test_no_verify_that_starts_after_an_end_is_allowed(chain: Chain, ends: Mapping[int, str]) -> None:
    for depth, name in ends.items():
        assert_ends_at_once(chain, depth, *BELOW[name])


@pytest.mark.parametrize(
    "name", [name if name == QUICK else pytest.param(name, marks=pytest.mark.soak) for name in ALL]
)
def test_nor_is_one_after_the_user_has_ended_it(chain: Chain, name: str) -> None:
    assert_ends_at_once(chain, 1, *ALL[name])


@pytest.mark.soak
@pytest.mark.parametrize("round_", range(3))
@pytest.mark.parametrize("depth", range(1, DEPTH + 1))
@pytest.mark.parametrize("name", BELOW)
def test_repeated_ends_apply_at_once_at_each_depth(chain: Chain, name: str, depth: int, round_: int) -> None:
    assert_ends_at_once(chain, depth, *BELOW[name])


@pytest.mark.postgresql(only=True)
@pytest.mark.parametrize("end", [doubt_receiver, rename_receiver, take_domain_from_receiver])
def test_the_loss_of_a_verification_waits_for_the_decisions_in_progress(chain: Chain, end: End) -> None:
    is_held, order = threading.Event(), list[str]()

    def decide_slowly() -> None:
        with transaction.atomic():
            hold_revocations()
            is_held.set()
            time.sleep(0.2)
            order.append("decided")

    def end_meanwhile() -> None:
        assert is_held.wait(10)
        end(chain, 1)
        order.append("ended")

    race([decide_slowly, end_meanwhile])
    assert order == ["decided", "ended"]


def assert_ends_at_once(chain: Chain, depth: int, end: End, reason: str) -> None:
    """Verify by both drivers during the end. Nothing below it is allowed afterwards, and what is above still is."""
    over, seen = threading.Event(), list[tuple[float, Decision]]()
    decided = decide_on_django(*[asking(token) for token in chain.tokens[depth:]])
    below = [token for token, one in zip(chain.tokens[depth:], decided, strict=True) if one.allowed]
    answered = list[float]()

    def verify(decide: Decide, token: str) -> None:
        remaining = VERIFIES_AFTER
        while remaining:
            remaining -= over.is_set()
            began = time.monotonic()
            (decision,) = decide(asking(token))
            seen.append((began, decision))

    def verify_in_event_loop() -> None:
        with event_loop() as loop:
            verify(loop.decide, below[-1])

    def act() -> None:
        try:
            wait_until(lambda: len(seen) >= VERIFIES_BEFORE, pause=0.001)
            end(chain, depth)
        finally:
            answered.append(time.monotonic())
            over.set()

    race([lambda: verify(decide_on_django, below[0]), verify_in_event_loop, act])
    assert seen[0][1].allowed
    after = [decision for began, decision in seen if began > answered[0]]
    assert len(after) >= VERIFIES_AFTER
    assert {(decision.allowed, decision.reason) for decision in after} == {(False, reason)}
    above = decide_on_django(*[asking(token) for token in chain.tokens[: depth - 1]])
    if end in [each for each, _ in BELOW.values()]:
        assert all(decision.allowed for decision in above)
