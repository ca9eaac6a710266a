"""What the owner's password reset does to agents when it verifies the address for the first time."""

import pytest

from agents.models import Agent
from agents.services import update_agent
from developers.acting import as_developer
from developers.models import Developer
from tests.constants import CALLBACK
from tests.log import log_entries
from tests.world import ANONYMOUS, make_agent, make_developer, make_user, reclaim

EVIL, NEW = "https://evil.example/callback", "https://new.example/callback"
pytestmark = pytest.mark.django_db


def test_the_only_developers_agents_are_suspended_and_lose_their_secrets(developer: Developer) -> None:
    agents = [make_agent(developer), make_agent(developer)]
    others = make_agent(make_developer("rival@example.com"))
    reclaim(developer.user)
    for agent in Agent.objects.filter(organization=developer.organization):
        assert agent.status == "suspended"
        assert not agent.secrets.filter(expires_at=None).exists()
    logged = log_entries(event="agent.suspended")
    assert {entry.agent_id for entry in logged} == {agent.id for agent in agents}
    others.refresh_from_db()
    assert others.may_act
    assert others.secrets.get().expires_at is None


def test_agents_of_an_organization_with_other_developers_keep_working(developer: Developer) -> None:
    agent = make_agent(developer)
    Developer.objects.create(user=make_user("bob@example.com"), organization=developer.organization)
    reclaim(developer.user)
    agent.refresh_from_db()
    assert agent.may_act
    assert agent.secrets.get().expires_at is None


def test_the_owner_can_reactivate_an_agent(developer: Developer) -> None:
    agent = make_agent(developer)
    reclaim(developer.user)
    owner = as_developer(ANONYMOUS, Developer.objects.get())
    assert update_agent(actor=owner, agent=agent, changes={"status": "active"}).may_act


def test_a_reactivation_drops_the_redirect_uris_from_before_the_reset(developer: Developer) -> None:
    agent = make_agent(developer, redirect_uris=[CALLBACK, EVIL])
    reclaim(developer.user)
    owner = as_developer(ANONYMOUS, Developer.objects.get())
    update_agent(actor=owner, agent=agent, changes={"redirect_uris": [CALLBACK, EVIL, NEW]})

    agent = update_agent(actor=owner, agent=agent, changes={"status": "active"})

    assert agent.redirect_uri_list == [NEW]
    (entry,) = log_entries(event="agent.reactivated")
    assert entry.content["metadata"]["droppedRedirectUris"] == 2
    update_agent(actor=owner, agent=agent, changes={"status": "suspended"})
    assert update_agent(actor=owner, agent=agent, changes={"status": "active"}).redirect_uri_list == [NEW]
