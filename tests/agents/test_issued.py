"""What a developer's account has made since a moment, and ending it."""

from datetime import timedelta

import pytest
from django.test import Client

from accounts.errors import ReauthenticationRequired
from accounts.passwords import reset_password
from agents.client_secrets import create_client_secret
from agents.issued import end_issued, issued_since
from agents.models import Agent
from agents.redirects import matches_registered
from agents.services import update_agent
from core import clock
from core.errors import NotAuthenticated
from developers.access import Access
from developers.acting import as_developer, as_developer_in_session
from developers.api_keys import create_api_key
from developers.models import ApiKey, Developer, Invitation
from developers.roles import Role
from resources.services import register_resource_server
from tests.constants import CALLBACK, NEW_PASSWORD
from tests.log import log_entries
from tests.shared import cases
from tests.world import ANONYMOUS, as_user, developer_for_api_key, make_agent, make_invitation, make_user

pytestmark = pytest.mark.django_db
EVIL = "https://evil.example/callback"


@pytest.fixture
def agent(developer: Developer) -> Agent:
    return make_agent(developer)


@pytest.fixture
def colleague(developer: Developer) -> Developer:
    return Developer.objects.create(user=make_user("bob@example.com"), organization=developer.organization)


def make_all(developer: Developer, agent: Agent, name: str) -> str:
    """Make one credential of each kind, and return the API key."""
    actor = as_developer(ANONYMOUS, developer)
    create_client_secret(actor=actor, agent=agent, name=name)
    update_agent(actor=actor, agent=agent, changes={"redirect_uris": [CALLBACK, EVIL]})
    register_resource_server(
        actor=actor,
        organization=developer.organization,
        name=name,
        identifier=f"https://{name}.example",
        scopes=["email:read"],
    )
    return create_api_key(actor=actor, developer=developer, name=name).value


def kinds(developer: Developer, since: object) -> list[str]:
    return sorted(one.made for one in issued_since(developer.user, since).items)  # type: ignore[arg-type]


def test_what_was_made_since_a_moment_ends_and_what_was_made_before_stays(developer: Developer, agent: Agent) -> None:
    since = clock.now()
    key = make_all(developer, agent, "stolen")
    assert kinds(developer, since) == ["api_key", "client_secret", "redirect_uris", "server_secret"]
    newest = issued_since(developer.user, since, 1)
    assert ([one.made for one in newest.items], newest.total) == (["api_key"], 4)

    assert end_issued(actor=as_user(developer.user), user=developer.user, since=since) == 4

    assert issued_since(developer.user, since).total == 0
    assert developer_for_api_key(key) is None
    agent.refresh_from_db()
    assert agent.redirect_uri_list == [CALLBACK]
    assert not matches_registered(EVIL, agent.redirect_uri_list)
    assert agent.secrets.filter(expires_at=None).count() == 1
    assert ApiKey.objects.filter(developer=developer, expires_at=None).count() == 1
    for event in ("api_key.revoked", "agent.secret_revoked", "resource_server.secret_revoked"):
        (entry,) = log_entries(event=event)
        assert entry.content["metadata"]["reason"] == "ended_by_owner"
    assert log_entries(event="agent.updated")[0].content["metadata"]["droppedRedirectUris"] == 1


def test_an_open_invitation_ends_with_what_an_account_made(developer: Developer) -> None:
    """Otherwise an intruder invites an account of their own, and is an owner once the session has ended."""
    earlier, since = make_invitation(developer, "bob@example.com"), clock.now()
    stolen = make_invitation(developer, "eve@example.com", Role.OWNER)
    (shown,) = issued_since(developer.user, since).items
    assert (shown.made, shown.text, shown.owner) == ("invitation", "eve@example.com", "Acme")

    assert end_issued(actor=as_user(developer.user), user=developer.user, since=since) == 1

    assert issued_since(developer.user, since).total == 0
    assert [Invitation.objects.get(pk=one.pk).status for one in (earlier, stolen)] == ["pending", "revoked"]


def test_what_a_colleague_made_is_neither_listed_nor_ended(
    developer: Developer, colleague: Developer, agent: Agent
) -> None:
    since = clock.now()
    key = make_all(colleague, agent, "theirs")

    assert issued_since(developer.user, since).total == 0
    assert end_issued(actor=as_user(developer.user), user=developer.user, since=since) == 0

    assert developer_for_api_key(key) == colleague
    assert issued_since(colleague.user, since).total == 4


def test_what_a_stolen_key_makes_is_listed_with_it(developer: Developer, agent: Agent) -> None:
    """The actor of an API key is the developer, so the list has what the key made, too."""
    since = clock.now()
    create_client_secret(actor=as_developer(ANONYMOUS, developer), agent=agent, name="by a key")

    assert kinds(developer, since) == ["client_secret"]


def test_a_request_from_before_a_reset_ends_nothing(developer: Developer, agent: Agent) -> None:
    stale = Developer.objects.select_related("user").get(pk=developer.pk)
    reset_password(actor=ANONYMOUS, user=developer.user, password=NEW_PASSWORD)

    with pytest.raises(NotAuthenticated):
        end_issued(actor=as_user(stale.user), user=stale.user, since=clock.now() - timedelta(days=1))


def test_removing_a_redirect_uri_needs_no_recent_sign_in_and_adding_one_does(
    developer: Developer, agent: Agent
) -> None:
    update_agent(actor=as_developer(ANONYMOUS, developer), agent=agent, changes={"redirect_uris": [CALLBACK, EVIL]})
    older = as_developer_in_session(ANONYMOUS, developer, clock.now() - timedelta(minutes=5))

    update_agent(actor=older, agent=agent, changes={"redirect_uris": [CALLBACK]})
    assert agent.added_redirect_uris.get().uri == CALLBACK

    with pytest.raises(ReauthenticationRequired):
        update_agent(actor=older, agent=agent, changes={"redirect_uris": [CALLBACK, EVIL]})
    assert agent.added_redirect_uris.get().uri == CALLBACK


def test_a_session_of_unknown_age_counts_as_old(developer: Developer, agent: Agent) -> None:
    with pytest.raises(ReauthenticationRequired):
        create_client_secret(actor=as_developer_in_session(ANONYMOUS, developer, None), agent=agent, name="x")


@cases(
    ("path", "body"),
    [
        ("/developers/api-keys", {"name": "again"}),
        ("/developers/api-keys/rotate", {}),
        ("/agents/{agent}/secrets", {"name": "again"}),
    ],
)
def test_a_request_in_flight_with_an_ended_key_makes_nothing(
    developer: Developer, agent: Agent, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, str]
) -> None:
    """A stranger who sends many at once would have some that wait for the end, and so keep access."""
    since = clock.now()
    key = make_all(developer, agent, "stolen")

    def end_first(access: Access) -> Access:
        end_issued(actor=as_user(developer.user), user=developer.user, since=since)
        return access

    # Between the check of the key and the lock.
    monkeypatch.setattr("api.endpoint.require_unsuspended", end_first)
    path = f"/api/v1{path.format(agent=agent.id)}"
    answer = Client(headers={"X-Api-Key": key}).post(path, body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert kinds(developer, since) == []


def test_a_key_of_the_organization_ends_with_what_its_maker_made(developer: Developer, colleague: Developer) -> None:
    since = clock.now()
    for maker in (developer, colleague):
        actor = as_developer(ANONYMOUS, maker)
        create_api_key(actor=actor, developer=maker, name=maker.id, owned_by_organization=True)
    assert kinds(developer, since) == ["api_key"]
    assert end_issued(actor=as_user(developer.user), user=developer.user, since=since) == 1
    assert ApiKey.objects.get(developer=None, expires_at__gt=clock.now() + timedelta(days=1)).made_by == colleague
    assert log_entries(event="api_key.revoked").get().content["metadata"]["ownedByOrganization"] is True
    Developer.objects.filter(pk=colleague.pk).update(role="developer")
    assert issued_since(colleague.user, since).total == 0
