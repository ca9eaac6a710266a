"""A person who is a user and a developer, with what the acts are about, at each door with each credential."""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.test import Client

from accounts.models import SessionToken, User
from accounts.services import open_session
from agents.models import Agent
from agents.services import update_agent
from approvals.services import approve_approval
from audit.proof import exports
from audit.sequencing.sequencer import sequence
from consent.models import Consent
from consent.pausing import pause_agent, pause_all_agents
from core import clock
from core.actor import SYSTEM
from core.rotation import add_secret
from developers.models import Developer, Organization
from developers.roles import Role
from developers.stopping import delete_organization, stop_organization
from policies.services import create_policy
from tests.approvals import make_approval
from tests.doors.acts import SCOPES, Credential, Door
from tests.events.webhooks import queue
from tests.shared import rows_of_module
from tests.world import (
    ANONYMOUS,
    allow,
    as_user,
    ask,
    grant_to,
    hand_over,
    let_delegate,
    make_agent,
    make_developer,
    make_invitation,
    make_member,
    make_resource_server,
    sign_in,
)

LONG_AGO = timedelta(minutes=5)


@dataclass(frozen=True)
class Scene:
    user: User
    ids: dict[str, str]
    api_key: str

    def pause(self) -> None:
        pause_agent(actor=as_user(self.user), consent=Consent.objects.get(pk=self.ids["consent"]))

    def pause_all(self) -> None:
        pause_all_agents(actor=as_user(self.user), user=self.user)

    def share(self) -> None:
        Developer.objects.filter(pk=self.ids["member"]).update(role=Role.OWNER)

    def stop_organization(self) -> None:
        organization = Organization.objects.get(pk=self.ids["organization"])
        stop_organization(actor=SYSTEM._replace(role="owner"), organization=organization, reason="Test.")

    def delete_organization(self) -> None:
        organization = Organization.objects.get(pk=self.ids["organization"])
        delete_organization(actor=SYSTEM._replace(role="owner"), organization=organization)

    def suspend(self) -> None:
        update_agent(actor=SYSTEM, agent=Agent.objects.get(pk=self.ids["agent"]), changes={"status": "suspended"})

    def knock(self, door: Door, credential: Credential, *, signed_in_ago: timedelta) -> Any:
        """Do the act at the door with the credential, whose session began so long ago."""
        path = door.path.format(**self.ids)
        if door.is_page:
            return self.browser(signed_in_ago).generic_form(path, door.sent)
        return self._client(credential, signed_in_ago).call(door.method, path, door.sent)

    def _client(self, credential: Credential, ago: timedelta) -> "Caller":
        if credential == "cookie":
            return self.browser(ago)
        if credential == "API key":
            return Caller(Client(headers={"X-Api-Key": self.api_key}))
        opened = open_session(actor=ANONYMOUS, user=self.user)
        SessionToken.objects.filter(pk=opened.session.pk).update(created_at=clock.now() - ago)
        return Caller(Client(headers={"Authorization": f"Bearer {opened.token}"}))

    def browser(self, ago: timedelta) -> "Caller":
        client = sign_in(self.user)
        session = client.session
        session["signed_in_at"] = (clock.now() - ago).timestamp()
        session.save()
        return Caller(client)


@dataclass(frozen=True)
class Caller:
    client: Client

    def generic_form(self, path: str, form: Any) -> Any:
        return self.client.post(path, form)

    def call(self, method: str, path: str, body: Any) -> Any:
        if method == "GET":
            return self.client.get(f"/api/v1{path}")
        return self.client.generic(method, f"/api/v1{path}", json.dumps(body), content_type="application/json")


@pytest.fixture(autouse=True)
def _sequenced(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sequencer runs beside the tests, and an export waits for one."""
    monkeypatch.setattr(exports, "pause", lambda seconds: sequence())


@pytest.fixture(scope="module")
def shared_scene(django_db_setup: None, django_db_blocker: Any) -> Iterator[Scene]:
    with rows_of_module(django_db_blocker):
        scene = make_scene()
        sequence()
        yield scene


@pytest.fixture
def scene(shared_scene: Scene, db: None) -> Scene:
    return deepcopy(shared_scene)


def make_scene() -> Scene:
    developer = make_developer("dev@example.com")
    agent, user = make_agent(developer), developer.user
    consent = allow(ask(agent), user)
    bank, shop = make_agent(developer, name="Bank"), make_agent(developer, name="Shop")
    charged = allow(ask(bank, scopes=["payments:charge"]), user)
    critical = {"scopes": ["payments:charge"], "asked_scopes": ["payments:charge"]}
    standing = make_approval(consent)
    approve_approval(
        actor=as_user(user),
        approval=standing,
        user=user,
        signed_in_at=clock.now(),
        for_target=True,
        expires_in_seconds=3600,
    )
    rules = [{"type": "action_blocklist", "config": {"actions": ["email:send"]}}]
    policy = create_policy(actor=SYSTEM, organization=developer.organization, name="No mail", rules=rules)
    server = make_resource_server(developer, "https://mail.example/api", "email:read").server
    EmailAddress.objects.filter(user=user).update(verified=True)
    invitation = make_invitation(make_developer("boss@example.com", "Other"), user.email)
    webhook = queue(developer, "webhook.*")
    token = grant_to(make_agent(developer, name="Giver"), user, SCOPES)
    let_delegate(token)
    delegation, _issued = hand_over(token, make_agent(developer, name="Receiver"), SCOPES)
    ids = {
        "invitation": invitation.id,
        "own": developer.id,
        "organization": developer.organization_id,
        "invited": make_invitation(developer, "grace@example.com").id,
        "agent": agent.id,
        "consent": consent.id,
        "pending": ask(shop, scopes=["payments:charge"]).id,
        "approval": make_approval(charged, **critical).id,
        "standing": standing.id,
        "policy": policy.id,
        "secret": agent.secrets.get().id,
        "server": server.id,
        "key": developer.api_keys.get().id,
        "member": make_member(developer, "bob@example.com", "admin").id,
        "webhook": webhook.pk,
        "delivery": webhook.deliveries.get().pk,
        "delegation": delegation.pk,
    }
    value = add_secret(
        developer.api_keys,
        prefix="ag",
        now=clock.now(),
        fields={"organization_id": developer.organization_id, "name": "tests"},
    )
    assert developer.api_keys.count() == 2
    return Scene(user, ids, value)
