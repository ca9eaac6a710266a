"""How many users, agents and grants the deletion of a resource server affects."""

from collections.abc import Callable
from dataclasses import astuple
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from accounts.models import User
from agents.models import Agent
from audit.events import Event
from consent.granting import approve_consent
from consent.services import revoke_consent
from core import clock
from developers.models import Developer
from resources.models import ResourceServer
from tests.shared import cases
from tests.world import ANONYMOUS, as_user, ask, make_agent, make_developer, make_resource_server, make_user
from tokens.exchange import exchange_code
from tokens.families import end_family
from tokens.impact import impact_on_service
from tokens.models import TokenFamily
from tokens.services import issue_client_token

MAIL, CALENDAR = "https://mail.example", "https://calendar.example"

pytestmark = pytest.mark.django_db


@pytest.fixture
def developer() -> Developer:
    return make_developer("dev@example.com", "Acme")


@pytest.fixture
def server(developer: Developer) -> ResourceServer:
    return register(developer, MAIL)


@pytest.fixture
def stranger() -> Agent:
    return make_agent(make_developer("rival@example.com", "Rival"))


def register(developer: Developer, identifier: str, scope: str = "email:read") -> ResourceServer:
    return make_resource_server(developer, identifier, scope).server


def grant(
    agent: Agent, user: User, *, scopes: tuple[str, ...] = ("email:read",), resource: tuple[str, ...] = ()
) -> Any:
    """Let the user allow the agent these scopes, exchange the code, and return the consent."""
    asked = ask(agent, scopes=scopes, resource=resource)
    approval = approve_consent(actor=as_user(user), consent=asked, user=user, signed_in_at=clock.now())
    exchange_code(actor=ANONYMOUS, agent=agent, code=approval.code)
    return approval.consent


def impact(server: ResourceServer) -> tuple[int, int, int]:
    """Return the numbers of users, agents and grants."""
    return astuple(impact_on_service(server, clock.now()))  # type: ignore[return-value]


def test_a_service_without_tokens_is_not_in_use(server: ResourceServer) -> None:
    assert impact(server) == (0, 0, 0)
    assert not impact_on_service(server, clock.now())


def test_users_agents_and_grants_of_all_organizations_count_once(
    developer: Developer, server: ResourceServer, stranger: Agent
) -> None:
    ada, bob, own = make_user("ada@example.com"), make_user("bob@example.com"), make_agent(developer)
    for user, agent in ((ada, own), (bob, own), (ada, stranger)):
        for _ in range(2):  # on two devices
            grant(agent, user, resource=(MAIL,))
    assert impact(server) == (2, 2, 3)


def test_a_service_is_not_hit_by_tokens_for_another(
    developer: Developer, server: ResourceServer, stranger: Agent
) -> None:
    other = register(developer, CALENDAR)
    grant(stranger, make_user("ada@example.com"), resource=(CALENDAR,))
    grant(stranger, make_user("bob@example.com"))  # of no service of another organization
    assert impact(server) == (0, 0, 0)
    assert impact(other) == (1, 1, 1)


def test_own_agents_need_no_audience_but_a_scope_of_the_service(developer: Developer, server: ResourceServer) -> None:
    sending = register(developer, CALENDAR, "email:send")
    grant(make_agent(developer), make_user("ada@example.com"))
    assert (impact(server), impact(sending)) == ((1, 1, 1), (0, 0, 0))


def test_tokens_count_by_their_own_scopes_not_by_all_that_was_granted(developer: Developer) -> None:
    """The device whose tokens had the scope of the service has signed out. The other one's never had it."""
    ada, agent = make_user("ada@example.com"), make_agent(developer)
    grant(agent, ada, scopes=("email:read",))
    grant(agent, ada, scopes=("email:read", "email:send"))
    (sender,) = TokenFamily.objects.filter(scope__contains="email:send")
    service = register(developer, MAIL, "email:send")
    assert impact(service) == (1, 1, 1)
    end_family(sender, actor=ANONYMOUS, event=Event.TOKEN_REVOKED, now=clock.now())
    assert impact(service) == (0, 0, 0)


def test_an_agent_that_acts_for_no_user_counts_as_an_agent(developer: Developer, server: ResourceServer) -> None:
    issue_client_token(actor=ANONYMOUS, agent=make_agent(developer), scopes=["email:read"])
    assert impact(server) == (0, 1, 0)
    assert impact(register(developer, CALENDAR, "email:send")) == (0, 0, 0)


def test_a_grant_that_was_replaced_counts_while_a_device_has_its_tokens(
    developer: Developer, server: ResourceServer, stranger: Agent
) -> None:
    register(developer, CALENDAR)
    ada = make_user("ada@example.com")
    grant(stranger, ada, resource=(MAIL,))
    grant(stranger, ada, resource=(CALENDAR,))
    assert impact(server) == (1, 1, 1)


def end_tokens(consent: Any) -> None:
    for family in TokenFamily.objects.filter(consent=consent):
        end_family(family, actor=ANONYMOUS, event=Event.TOKEN_REVOKED, now=clock.now())


def revoke(consent: Any) -> None:
    revoke_consent(actor=as_user(consent.user), consent=consent)


@cases("end", [end_tokens, revoke])
def test_what_has_ended_does_not_count(server: ResourceServer, stranger: Agent, end: Callable[[Any], None]) -> None:
    consent = grant(stranger, make_user("ada@example.com"), resource=(MAIL,))
    assert impact(server) == (1, 1, 1)
    end(consent)
    assert impact(server) == (0, 0, 0)


def test_what_has_expired_does_not_count(server: ResourceServer, stranger: Agent) -> None:
    grant(stranger, make_user("ada@example.com"), resource=(MAIL,))
    with time_machine.travel(clock.now() + timedelta(days=31)):
        assert impact(server) == (0, 0, 0)


def test_the_numbers_are_read_at_once(server: ResourceServer, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        impact(server)
