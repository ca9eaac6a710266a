"""What is handed on ends with the account, the agent, the service or the database that it depends on, for good."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings

from accounts.erasure import erase_user
from accounts.models import User
from agents.deletion import delete_agent
from agents.models import Agent
from consent.services import revoke_consent
from core import clock
from core.actor import SYSTEM
from decisions.requests import VerifyRequest
from decisions.services import decide
from developers.models import Developer
from developers.stopping import delete_organization, finish_deletion
from resources.signals import servers_taken_over
from tests.shared import copied, rows_of_module
from tests.world import (
    ANONYMOUS,
    allow,
    as_owner,
    as_user,
    ask,
    hand_over,
    let_delegate,
    make_agent,
    make_grant,
    make_resource_server,
    reclaim,
)
from tokens.delegations import Wanted, create_delegation
from tokens.exchange import redeem_delegation
from tokens.families import end_all_families
from tokens.issuing import IssuedTokens
from tokens.models import Delegation, TokenFamily
from tokens.refresh import refresh_tokens

pytestmark = pytest.mark.django_db

READ = "email:read"


class Tree:
    """A chain of three agents, and work that the first one has offered to the last one, who has not taken it yet."""

    def __init__(self) -> None:
        self.grant = make_grant()
        assert self.grant.agent.organization is not None
        self.owner: Developer = self.grant.agent.organization.developers.earliest("pk")
        self.second, self.third = (make_agent(self.owner, name=name, allowed_scopes=[READ]) for name in "BC")
        let_delegate(self.grant.access_token)
        limit = {"type": "rate_limit", "config": {"maxRequests": 9, "windowSeconds": 60, "scope": "per_user"}}
        bounds = {"limits": {READ: [limit]}, "task": "Mails of Ann"}
        self.first, self.summarizer = hand_over(self.grant.access_token, self.second, [READ], **bounds)
        self.below, self.translator = hand_over(self.summarizer.access_token, self.third, [READ])
        wanted = Wanted(to=self.third.client_id, scopes=[READ])
        self.offered = create_delegation(
            actor=ANONYMOUS, agent=self.grant.agent, token=self.grant.access_token, wanted=wanted
        ).token

    def reasons(self) -> list[str | None]:
        """Return why the second and the third agent are denied."""
        tokens = (self.summarizer, self.translator)
        requests = [VerifyRequest(token=one.access_token, required_scopes=(READ,), actor=ANONYMOUS) for one in tokens]
        return [decision.reason for decision in decide(requests)]

    def issued(self) -> list[Any]:
        """Return which tokens the agents still get: by refreshing theirs, and for what was offered."""
        pairs = ((self.second, self.summarizer), (self.third, self.translator))
        found: list[Any] = [
            refresh_tokens(actor=ANONYMOUS, agent=agent, refresh_token=str(one.refresh_token)) for agent, one in pairs
        ]
        found.append(redeem_delegation(actor=ANONYMOUS, agent=self.third, token=self.offered))
        return [one for one in found if isinstance(one, IssuedTokens)]


@pytest.fixture(scope="module")
def shared_tree(django_db_setup: None, django_db_blocker: Any) -> Iterator[Tree]:
    with rows_of_module(django_db_blocker):
        yield Tree()


tree = copied("shared_tree")


def test_the_tree_lives(tree: Tree) -> None:
    assert tree.reasons() == [None, None]
    assert len(tree.issued()) == 3


def erase(tree: Tree) -> None:
    erase_user(actor=as_user(tree.grant.user), user=tree.grant.user)


def reclaim_account(tree: Tree) -> None:
    reclaim(tree.grant.user)


def delete_first(tree: Tree) -> None:
    delete_agent(actor=as_owner(tree.grant.agent.organization), agent=tree.grant.agent)


def revoke(tree: Tree) -> None:
    revoke_consent(actor=as_user(tree.grant.user), consent=tree.grant.consent)


def restore(tree: Tree) -> None:
    end_all_families(actor=SYSTEM, reason="Restored a backup")


def take_over(tree: Tree) -> None:
    """Take over a server that all tokens are for, beside the default service."""
    server = make_resource_server(tree.owner, "https://api.acme.example").server
    owners = {server.identifier: server.organization_id}
    TokenFamily.objects.update(resource=[settings.API_URL, server.identifier], resource_owners=owners)
    assert tree.reasons() == [None, None]
    servers_taken_over.send(sender=type(server), servers=[server], now=clock.now())


def close(tree: Tree) -> None:
    assert tree.grant.agent.organization is not None
    delete_organization(actor=as_owner(tree.grant.agent.organization), organization=tree.grant.agent.organization)
    assert tree.issued() == []
    finish_deletion(tree.grant.agent.organization.pk)


@pytest.mark.parametrize(
    "end", [erase, reclaim_account, delete_first, revoke, restore, take_over, close], ids=lambda one: one.__name__
)
def test_nothing_that_was_handed_on_outlives(tree: Tree, end: Callable[[Tree], None]) -> None:
    end(tree)
    assert None not in tree.reasons()
    assert tree.issued() == []


def test_only_what_is_at_or_below_a_deleted_agent_ends(tree: Tree) -> None:
    delete_agent(actor=as_owner(tree.grant.agent.organization), agent=tree.third)
    assert tree.reasons() == [None, "agent_suspended"]
    delete_agent(actor=as_owner(tree.grant.agent.organization), agent=tree.second)
    assert tree.reasons() == ["agent_suspended", "agent_suspended"]
    assert tree.issued() == []


@pytest.mark.parametrize("end", [reclaim_account, revoke, restore], ids=lambda one: one.__name__)
def test_a_new_consent_revives_nothing(tree: Tree, end: Callable[[Tree], None]) -> None:
    end(tree)
    user = User.objects.get(pk=tree.grant.user.pk)
    new = allow(ask(Agent.objects.get(pk=tree.grant.agent.pk), scopes=[READ]), user)
    type(new).objects.filter(pk=new.pk).update(delegation="developer")
    assert None not in tree.reasons()
    assert tree.issued() == []


def test_an_erasure_leaves_no_texts_of_a_delegation(tree: Tree) -> None:
    assert Delegation.objects.get(pk=tree.below.pk).task == "Mails of Ann"
    erase(tree)
    rows = Delegation.objects.filter(user=tree.grant.user.pk).values_list("targets", "limits", "task")
    assert set(map(repr, rows)) == {repr(({}, {}, ""))}
