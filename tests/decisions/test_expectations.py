"""Whose turn a question takes: strangers cannot take that of an organization by naming it."""

from dataclasses import replace
from typing import Any

import pytest

from agents.models import Agent
from decisions.expectations import turn_of
from decisions.questions import make_question
from decisions.requests import Credential
from tests.decisions.drivers import SHOP, Decide, asking, forget
from tests.world import Grant, make_caller, make_developer, make_grant, make_resource_server

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Any:
    other = make_developer("shop@example.com", "Shop")
    server = make_resource_server(other, SHOP).server
    return other.organization, server, make_caller(server)


@pytest.fixture
def grant(shop: Any) -> Grant:
    forget()
    return make_grant()


def turn(token: str, **fields: Any) -> str:
    return turn_of(make_question(asking(token, **fields)))


def test_a_token_takes_the_turn_of_its_agents_organization(decide: Decide, grant: Grant, shop: Any) -> None:
    _, _, credential = shop
    assert turn(grant.access_token) == ""
    decide(asking(grant.access_token))
    own = grant.agent.organization.id
    assert [turn(grant.access_token), turn(grant.access_token, resource=SHOP)] == [own, own]
    assert turn(grant.access_token, credential=credential) == own


def test_a_secret_takes_the_turn_of_its_service_and_a_wrong_one_does_not(
    decide: Decide, grant: Grant, shop: Any
) -> None:
    organization, server, credential = shop
    decide(asking(grant.access_token, credential=credential))
    assert turn("invalid", credential=credential) == organization.id
    assert turn("invalid", credential=Credential(server.id, "wrong")) == ""


def test_a_stock_clients_token_takes_the_turn_of_a_service_that_it_is_for(
    decide: Decide, grant: Grant, shop: Any
) -> None:
    """It has no organization of its own that could pay."""
    organization, _, _ = shop
    Agent.objects.update(organization=None)
    decide(asking(grant.access_token, resource=SHOP))
    question = make_question(asking(grant.access_token, resource=SHOP))
    assert question.claims is not None
    assert turn_of(question) == ""
    assert turn_of(question._replace(claims=replace(question.claims, audience=(SHOP,)))) == organization.id
    assert turn("invalid", resource=SHOP) == ""


def test_a_token_of_an_unknown_client_takes_the_turn_of_strangers(decide: Decide, grant: Grant, shop: Any) -> None:
    decide(asking(grant.access_token, resource=SHOP))
    question = make_question(asking(grant.access_token, resource=SHOP))
    assert question.claims is not None
    unknown = replace(question.claims, client_id="agt_unknown", audience=(SHOP,))
    assert turn_of(question._replace(claims=unknown)) == ""
