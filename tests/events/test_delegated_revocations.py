"""What ends work that was handed on, an offline guard refuses, even if the agents above had no token for hours."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings

from accounts.models import User
from accounts.services import deactivate_user
from agents.models import Agent
from agents.services import stop_agent, update_agent
from audit.events import Event
from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from consent.pausing import pause_agent
from consent.services import revoke_consent
from core import clock
from core.actor import SYSTEM
from decisions.requests import VerifyRequest
from decisions.services import decide
from developers.models import Developer, Organization
from developers.profiles import update_organization
from developers.services import suspend_organization, verify_organization
from developers.stopping import stop_organization
from resources.models import ResourceServer
from tests.events.test_revocations import NAMED, OTHER, SCOPES, answer, grant, refusal
from tests.shared import cases, copied, rows_of_module
from tests.world import (
    ANONYMOUS,
    as_owner,
    as_user,
    hand_over,
    let_delegate,
    make_agent,
    make_caller,
    make_developer,
    make_resource_server,
    make_user,
)
from tokens.access_tokens import create_access_token
from tokens.chains import read_chain
from tokens.delegations import end_delegation
from tokens.families import end_family
from tokens.models import Delegation, TokenFamily

pytestmark = pytest.mark.django_db

HOURS = timedelta(hours=3)


@dataclass
class Chain:
    """Work that Acme's agent handed to Beta's, and that one to another one of Acme, which asks for it hours later."""

    user: User
    consent: Consent
    first: Agent
    second: Agent
    last: Agent
    family: TokenFamily
    to_second: Delegation
    to_last: Delegation
    own: str
    """A new token of the second agent for other work, which no agent handed to it."""
    server: ResourceServer
    sibling: ResourceServer
    services: list[ResourceServer]

    @property
    def token(self) -> str:
        """Return a new token of the last agent."""
        family = TokenFamily.objects.select_related("consent", "application", "delegation").get(delegation=self.to_last)
        token, signed = create_access_token(
            family=family, scopes=SCOPES, now=clock.now(), chain=read_chain(self.to_last)
        )
        token.save(force_insert=True)
        return signed

    def reason(self, token: str, server: ResourceServer) -> str | None:
        request = VerifyRequest(token=token, required_scopes=SCOPES, actor=ANONYMOUS, credential=make_caller(server))
        return decide([request])[0].reason


@pytest.fixture(scope="module")
def shared_chain(django_db_setup: None, django_db_blocker: Any) -> Iterator[Chain]:
    with rows_of_module(django_db_blocker):
        yield make_chain()


chain = copied("shared_chain")


def make_chain() -> Chain:
    acme, beta, books = (make_developer(f"{one}@example.com", one.title()) for one in ("acme", "beta", "books"))
    Organization.objects.filter(pk=beta.organization_id).update(is_verified=True, verified_with="")
    server, sibling = (make_resource_server(books, one).server for one in (NAMED, OTHER))
    own = {"https://acme.example": acme, "https://beta.example": beta}
    services = [make_resource_server(one, name).server for name, one in own.items()]
    first, second, last = make_agent(acme, name="First"), make_agent(beta, name="Second"), make_agent(acme, name="Last")
    user = make_user("ada@example.com")
    with time_machine.travel(clock.now() - HOURS, tick=False):
        consent, _, issued = grant(first, user)
        let_delegate(issued.access_token, "verified")
        day = {"lifetime": timedelta(days=1)}
        to_second, received = hand_over(issued.access_token, second, SCOPES, **day)
        to_last, _ = hand_over(received.access_token, last, SCOPES, **day)
    _, _, other = grant(second, user)
    return Chain(
        user,
        consent,
        first,
        second,
        last,
        issued.family,
        to_second,
        to_last,
        other.access_token,
        server,
        sibling,
        services,
    )


def narrow(chain: Chain, **fields: Any) -> None:
    narrowing = Narrowing(**fields or {"remove_scopes": ["email:send"]})
    narrow_consent(actor=as_user(chain.user), user=chain.user, consent=chain.consent, narrowing=narrowing)


def rename(chain: Chain) -> None:
    boss = Developer.objects.get(organization=chain.second.organization)
    update_organization(actor=as_owner(boss.organization), organization=boss.organization, name="Gamma")


Act = Callable[[Chain], object]
ENDED, SCOPE = "delegation_ended", "insufficient_scope"
LESS = {"allowed_scopes": ["email:read"]}
ACTS: dict[str, tuple[Act, str, str]] = {
    "the first delegation": (lambda c: end_delegation(actor=SYSTEM, delegation=c.to_second), ENDED, "delegation"),
    "the last delegation": (lambda c: end_delegation(actor=SYSTEM, delegation=c.to_last), ENDED, "delegation"),
    "tokens above": (
        lambda c: end_family(c.family, actor=SYSTEM, event=Event.TOKEN_REVOKED, now=clock.now()),
        ENDED,
        "family",
    ),
    "the first agent": (lambda c: stop_agent(actor=SYSTEM, agent=c.first, reason="x"), ENDED, "agent"),
    "an agent between": (
        lambda c: update_agent(actor=SYSTEM, agent=c.second, changes={"status": "suspended"}),
        ENDED,
        "agent",
    ),
    "the acting agent": (lambda c: stop_agent(actor=SYSTEM, agent=c.last, reason="x"), "agent_suspended", "agent"),
    "a scope of the first agent": (lambda c: update_agent(actor=SYSTEM, agent=c.first, changes=LESS), SCOPE, "scope"),
    "a scope of one between": (lambda c: update_agent(actor=SYSTEM, agent=c.second, changes=LESS), SCOPE, "scope"),
    "an organization above": (
        lambda c: suspend_organization(actor=SYSTEM, organization=c.second.organization, reason="x"),
        ENDED,
        "organization",
    ),
    "the organization of the acting agent": (
        lambda c: stop_organization(actor=as_owner(c.last.organization), organization=c.last.organization, reason="x"),
        "organization_stopped",
        "organization",
    ),
    "a verification": (
        lambda c: verify_organization(actor=SYSTEM, organization=c.second.organization, is_verified=False, reason="x"),
        ENDED,
        "organization",
    ),
    "a verified name": (rename, ENDED, "organization"),
    "the consent": (
        lambda c: revoke_consent(actor=as_user(c.user), consent=c.consent),
        "consent_revoked",
        "consent",
    ),
    "a scope of the consent": (narrow, SCOPE, "scope"),
    "the mode of the consent": (lambda c: narrow(c, delegation="developer"), ENDED, "delegation"),
    "the first agent for a while": (
        lambda c: pause_agent(actor=as_user(c.user), consent=c.consent),
        "consent_paused",
        "consent",
    ),
    "the user": (lambda c: deactivate_user(actor=SYSTEM, user=c.user, reason="x"), "user_inactive", "user"),
}


@pytest.mark.parametrize("name", ACTS)
def test_each_end_reaches_what_was_handed_on(chain: Chain, name: str) -> None:
    act, reason, kind = ACTS[name]
    token, server = chain.token, chain.server
    assert (chain.reason(token, server), refusal(server, token)) == (None, None)
    act(chain)
    assert chain.reason(token, server) == reason
    assert kind in {item.kind for item in answer(server).items}
    assert refusal(server, token) is not None
    for other in (chain.sibling, *chain.services):
        assert answer(other).items == (), "no token names it"


@cases("name", ["the first delegation", "tokens above", "the consent"])
def test_what_ends_a_chain_leaves_other_work_of_its_agents_alone(chain: Chain, name: str) -> None:
    ACTS[name][0](chain)
    assert (chain.reason(chain.own, chain.server), refusal(chain.server, chain.own)) == (None, None)


@pytest.mark.postgresql
@cases("name", ["the last delegation", "tokens above", "an agent between", "the user"])
def test_the_default_audience_of_a_chain_is_for_services_of_the_first_organization(chain: Chain, name: str) -> None:
    TokenFamily.objects.update(resource=[settings.API_URL], resource_owners={})
    token, (acmes, betas) = chain.token, chain.services
    assert (chain.reason(token, acmes), chain.reason(token, betas)) == (None, "wrong_audience")
    act, reason, _ = ACTS[name]
    act(chain)
    assert chain.reason(token, acmes) == reason
    assert refusal(acmes, token) is not None
    assert {item.kind for item in answer(betas).items} <= {"agent", "user"}, "it has tokens of Beta's own agent"
