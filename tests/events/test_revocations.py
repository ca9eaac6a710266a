"""What verify denies after an act, an offline guard refuses, and no other service learns of it."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import time_machine

from accounts.erasure import erase_user
from accounts.models import User
from accounts.services import deactivate_user
from agents.deletion import delete_agent
from agents.models import Agent
from agents.services import stop_agent, update_agent
from api.v1.schemas.revocations import show_revocations
from audit.events import Event
from audit.models import Segment
from audit.readers import finding, in_order, snapshot, tail
from audit.sequencing import log, postings
from audit.sequencing.sequencer import sequence
from consent.connections import Choice
from consent.granting import approve_consent
from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from consent.pausing import pause_agent, pause_all_agents, resume_agent
from consent.services import expire_grants, revoke_consent
from core import clock
from core.actor import SYSTEM
from decisions.requests import VerifyRequest
from decisions.services import decide
from developers.models import Developer
from developers.services import suspend_organization
from developers.stopping import delete_organization, stop_organization
from events import revocations
from events.revocations import ITEMS, await_revocations, revocations_for, watch_revocations
from resources.models import ResourceServer
from resources.signals import servers_taken_over
from tests.log import log_entries
from tests.shared import copied, rows_of_module
from tests.world import (
    ANONYMOUS,
    as_owner,
    as_user,
    ask,
    make_agent,
    make_caller,
    make_developer,
    make_resource_server,
    make_user,
    reclaim,
)
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens, Refusal
from tokens.refresh import refresh_tokens
from tokens.services import issue_client_token, revoke_token

sys.path.insert(0, str(Path(__file__).parents[2] / "sdk" / "python" / "src"))

from agentgate_oauth._decode import reader
from agentgate_oauth.service.ended import Ended
from agentgate_oauth.service.revocations import Answer

pytestmark = pytest.mark.django_db

NAMED, OTHER = "https://books.example", "https://music.example"
SCOPES = ("email:read", "email:send")


@dataclass
class Scene:
    """An agent with tokens of a user for one of three services: two of an organization, and one of a third."""

    agent: Agent
    user: User
    consent: Consent
    code: str
    issued: IssuedTokens
    server: ResourceServer
    sibling: ResourceServer
    stranger: ResourceServer
    dev: Developer

    @property
    def token(self) -> str:
        return self.issued.access_token

    def reason(self, token: str = "", scopes: tuple[str, ...] = SCOPES) -> str | None:
        request = VerifyRequest(
            token=token or self.token, required_scopes=scopes, actor=ANONYMOUS, credential=make_caller(self.server)
        )
        return decide([request])[0].reason

    def refresh(self) -> IssuedTokens:
        refreshed = refresh_tokens(actor=ANONYMOUS, agent=self.agent, refresh_token=self.issued.refresh_token or "")
        assert isinstance(refreshed, IssuedTokens)
        self.issued = refreshed
        return refreshed


@pytest.fixture(scope="module")
def shared_scene(django_db_setup: None, django_db_blocker: Any) -> Iterator[Scene]:
    with rows_of_module(django_db_blocker):
        yield make_scene()


scene = copied("shared_scene")


def make_scene() -> Scene:
    dev, owner = make_developer("dev@example.com", "Acme"), make_developer("books@example.com", "Books")
    third = make_developer("third@example.com", "Third")
    servers = [make_resource_server(one, name).server for one, name in ((owner, NAMED), (owner, OTHER))]
    stranger = make_resource_server(third, "https://third.example").server
    agent, user = make_agent(dev), make_user("ada@example.com")
    consent, code, issued = grant(agent, user)
    return Scene(agent, user, consent, code, issued, *servers, stranger, dev)


def grant(agent: Agent, user: User, choice: Choice | None = None, **fields: Any) -> tuple[Consent, str, IssuedTokens]:
    asked = ask(agent, **{"scopes": list(SCOPES), "resource": [NAMED], **fields})
    approved = approve_consent(
        actor=as_user(user), consent=asked, user=user, choice=choice or Choice(), signed_in_at=clock.now()
    )
    issued = exchange_code(actor=ANONYMOUS, agent=agent, code=approved.code)
    assert isinstance(issued, IssuedTokens)
    return approved.consent, approved.code, issued


def answer(server: ResourceServer, after: int | None = None) -> Answer:
    """Return the answer as a guard reads it."""
    shown = show_revocations(revocations_for(server, after))
    return reader(Answer)(shown.model_dump(mode="json", exclude_unset=True))


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def refusal(server: ResourceServer, token: str) -> str | None:
    """Return why an offline guard of the server refuses the token, which has to have both scopes."""
    ended, claims = Ended(), claims_of(token)
    ended.add(answer(server).items)
    missing = ended.remaining(claims, SCOPES) != list(SCOPES)
    return ended.reason(claims) or ("insufficient_scope" if missing else None)


Act = Callable[[Scene], object]


def as_ada(scene: Scene) -> dict[str, Any]:
    return {"actor": as_user(scene.user)}


def replay_refresh(scene: Scene) -> None:
    first, again = scene.issued.refresh_token or "", scene.token
    scene.refresh()
    refresh_tokens(actor=ANONYMOUS, agent=scene.agent, refresh_token=first)
    assert again != scene.token


def replay_code(scene: Scene) -> None:
    exchange_code(actor=ANONYMOUS, agent=scene.agent, code=scene.code)


def approve_less(scene: Scene) -> None:
    grant(scene.agent, scene.user, Choice(scopes=["email:read"], is_whole=True))


def narrow(scene: Scene, **fields: Any) -> None:
    narrow_consent(**as_ada(scene), user=scene.user, consent=scene.consent, narrowing=Narrowing(**fields))


def organization_of(scene: Scene) -> Any:
    return {"organization": scene.agent.organization, "reason": "x"}


ACTS: dict[str, tuple[Act, Event, str, str]] = {
    "token revoked": (
        lambda s: revoke_token(actor=ANONYMOUS, token=s.token),
        Event.TOKEN_REVOKED,
        "token_revoked",
        "family",
    ),
    "code replayed": (replay_code, Event.TOKEN_REPLAYED, "token_revoked", "family"),
    "refresh token replayed": (replay_refresh, Event.TOKEN_REPLAYED, "token_revoked", "family"),
    "consent revoked": (
        lambda s: revoke_consent(**as_ada(s), consent=s.consent),
        Event.CONSENT_REVOKED,
        "consent_revoked",
        "consent",
    ),
    "scope removed": (
        lambda s: narrow(s, remove_scopes=["email:send"]),
        Event.CONSENT_NARROWED,
        "insufficient_scope",
        "scope",
    ),
    "replaced with less": (approve_less, Event.CONSENT_REPLACED, "insufficient_scope", "scope"),
    "agent paused": (
        lambda s: pause_agent(**as_ada(s), consent=s.consent),
        Event.AGENT_PAUSED,
        "consent_paused",
        "consent",
    ),
    "all agents paused": (
        lambda s: pause_all_agents(**as_ada(s), user=s.user),
        Event.AGENTS_PAUSED,
        "consent_paused",
        "user",
    ),
    "agent suspended": (
        lambda s: update_agent(actor=SYSTEM, agent=s.agent, changes={"status": "suspended"}),
        Event.AGENT_SUSPENDED,
        "agent_suspended",
        "agent",
    ),
    "agent loses a scope": (
        lambda s: update_agent(actor=SYSTEM, agent=s.agent, changes={"allowed_scopes": ["email:read"]}),
        Event.AGENT_UPDATED,
        "insufficient_scope",
        "scope",
    ),
    "agent stopped": (
        lambda s: stop_agent(actor=SYSTEM, agent=s.agent, reason="x"),
        Event.AGENT_STOPPED,
        "agent_suspended",
        "agent",
    ),
    "agent deleted": (
        lambda s: delete_agent(actor=SYSTEM, agent=s.agent),
        Event.AGENT_SUSPENDED,
        "agent_suspended",
        "agent",
    ),
    "organization suspended": (
        lambda s: suspend_organization(actor=SYSTEM, **organization_of(s)),
        Event.ORGANIZATION_SUSPENDED,
        "organization_suspended",
        "organization",
    ),
    "organization stopped": (
        lambda s: stop_organization(actor=as_owner(s.agent.organization), **organization_of(s)),
        Event.ORGANIZATION_STOPPED,
        "organization_stopped",
        "organization",
    ),
    "organization being deleted": (
        lambda s: delete_organization(actor=as_owner(s.agent.organization), organization=s.agent.organization),
        Event.ORGANIZATION_DELETION_STARTED,
        "organization_stopped",
        "organization",
    ),
    "user deactivated": (
        lambda s: deactivate_user(actor=SYSTEM, user=s.user, reason="x"),
        Event.USER_DEACTIVATED,
        "user_inactive",
        "user",
    ),
    "user erased": (lambda s: erase_user(actor=SYSTEM, user=s.user), Event.USER_ERASED, "token_revoked", "family"),
    "account reclaimed": (lambda s: reclaim(s.user), Event.TOKEN_REVOKED, "token_revoked", "family"),
    "service taken over": (
        lambda s: servers_taken_over.send(ResourceServer, servers=[s.server], now=clock.now()),
        Event.TOKEN_REVOKED,
        "token_revoked",
        "family",
    ),
}


@pytest.mark.parametrize("name", ACTS)
def test_what_verify_denies_an_offline_guard_refuses(scene: Scene, name: str) -> None:
    act, event, reason, kind = ACTS[name]
    bea = make_user("bea@example.com")
    elsewhere = grant(scene.agent, bea, resource=["https://third.example"])[2].access_token
    token = scene.token
    assert (scene.reason(), refusal(scene.server, token)) == (None, None)
    act(scene)
    assert scene.reason(token) == reason
    assert kind in {item.kind for item in answer(scene.server).items}
    assert refusal(scene.server, token) is not None
    assert answer(scene.sibling).items == (), "no token named it"
    # The third organization's service had tokens of the same agent, but none of the same user.
    if kind in ("agent", "organization") or name == "agent loses a scope":
        assert refusal(scene.stranger, elsewhere) is not None
        told = {one.user_id or one.consent_id or one.family_id for one in answer(scene.stranger).items}
        assert told.isdisjoint({scene.user.id, scene.consent.id, scene.issued.family.id})
    else:
        assert answer(scene.stranger).items == ()
    waiting, at = answer(scene.server).items, clock.now()
    assert log_entries(event=event).exists()
    logged = answer(scene.server).items
    assert [replace(item, at=at) for item in logged] == [replace(item, at=at) for item in waiting]
    assert answer(scene.server, answer(scene.server).next).items == ()


@pytest.mark.parametrize("name", ["token revoked", "agent stopped", "all agents paused"])
def test_only_services_that_get_an_item_are_woken(scene: Scene, name: str) -> None:
    sequence()
    watch = watch_revocations()
    own, other = (await_revocations(one, revocations_for(one)) for one in (scene.server, scene.sibling))
    assert watch({own, other}) == {own, other}
    ACTS[name][0](scene)
    assert watch({own, other}) == {other}
    sequence()
    assert watch({own, other}) == {other}


def test_every_event_that_ends_something_is_tried() -> None:
    others = {Event.CONSENT_EXPIRED, Event.AGENT_REACTIVATED, Event.EVERYTHING_STOPPED, Event.DELEGATION_ENDED}
    # They end a verification, which work can depend on that was handed on.
    others |= {Event.ORGANIZATION_VERIFIED, Event.ORGANIZATION_UPDATED}
    others |= {Event.DOMAIN_PROVED, Event.DOMAIN_LOST, Event.DOMAIN_REMOVED}
    assert {event for _, event, _, _ in ACTS.values()} | others == set(ITEMS)


def test_an_agent_that_is_reactivated_with_less_does_not_have_more(scene: Scene) -> None:
    update_agent(actor=SYSTEM, agent=scene.agent, changes={"status": "suspended"})
    with time_machine.travel(clock.now() + timedelta(seconds=5), tick=False):
        changes = {"status": "active", "allowed_scopes": ["email:read"]}
        update_agent(actor=SYSTEM, agent=scene.agent, changes=changes)
        assert refusal(scene.server, scene.token) == "agent_suspended"
        assert "scope" in {item.kind for item in answer(scene.server).items}


def test_tokens_that_name_an_earlier_consent_end_with_the_newest(scene: Scene) -> None:
    first = scene.token
    second, _, issued = grant(scene.agent, scene.user)
    assert claims_of(first)["consent_id"] == scene.consent.id != second.id
    # An id of before still ends the connection.
    revoke_consent(**as_ada(scene), consent=scene.consent)
    assert refusal(scene.server, first) == refusal(scene.server, issued.access_token) == "consent_revoked"


def test_what_a_replaced_consent_loses_ends_nothing_of_the_new_one(scene: Scene) -> None:
    old = scene.token
    approve_less(scene)
    _, _, again = grant(scene.agent, scene.user)
    assert scene.reason(old) == "insufficient_scope", "it does not get the scope back"
    assert refusal(scene.server, old) == "insufficient_scope"
    assert (scene.reason(again.access_token), refusal(scene.server, again.access_token)) == (None, None)


def test_a_token_issued_during_a_pause_says_so_and_one_of_after_works(scene: Scene) -> None:
    pause_agent(**as_ada(scene), consent=scene.consent)
    assert claims_of(scene.refresh().access_token)["paused"] is True
    sequence()
    with time_machine.travel(clock.now() + timedelta(seconds=5), tick=False):
        resume_agent(**as_ada(scene), consent=scene.consent, user=User.objects.get(pk=scene.user.pk))
        token = scene.refresh().access_token
        assert "paused" not in claims_of(token)
        assert (scene.reason(token), refusal(scene.server, token)) == (None, None)
        pause_all_agents(**as_ada(scene), user=scene.user)
        assert claims_of(scene.refresh().access_token)["paused"] is True


def test_an_item_does_not_end_what_is_issued_long_after_it(scene: Scene) -> None:
    """Even while the sequencer does not work."""
    pause_agent(**as_ada(scene), consent=scene.consent)
    with time_machine.travel(clock.now() + timedelta(minutes=2), tick=False):
        resume_agent(**as_ada(scene), consent=scene.consent, user=User.objects.get(pk=scene.user.pk))
        assert refusal(scene.server, scene.refresh().access_token) is None


@pytest.mark.parametrize("name", ["agent suspended", "agent stopped", "organization suspended", "organization stopped"])
def test_a_client_that_was_stopped_since_it_was_authenticated_gets_no_token(scene: Scene, name: str) -> None:
    found = Agent.objects.select_related("organization").get(pk=scene.agent.pk)
    ACTS[name][0](scene)
    outcome = issue_client_token(actor=ANONYMOUS, agent=found, scopes=list(SCOPES))
    assert isinstance(outcome, Refusal)
    assert outcome.code == "unauthorized_client"


def test_a_token_ends_with_its_consent(scene: Scene) -> None:
    claims = claims_of(scene.token)
    assert claims["exp"] - claims["iat"] == 900
    narrow(scene, lifetime=timedelta(minutes=5))
    assert refusal(scene.server, scene.token) == "consent_revoked", "it would outlive the connection"
    sequence()
    with time_machine.travel(clock.now() + timedelta(seconds=5), tick=False):
        token = scene.refresh().access_token
        claims = claims_of(token)
        assert claims["exp"] == int(Consent.objects.get(pk=scene.consent.pk).expires_at.timestamp())
        assert refusal(scene.server, token) is None
    with time_machine.travel(clock.now() + timedelta(minutes=6), tick=False):
        expire_grants()
        assert refusal(scene.server, token) == "consent_revoked"


def test_a_longer_end_or_other_terms_end_nothing(scene: Scene) -> None:
    narrow(scene, lifetime=timedelta(days=2))
    assert answer(scene.server).items == ()


def test_a_client_on_its_own_and_the_default_audience(scene: Scene) -> None:
    own = make_resource_server(scene.dev, "https://acme.example").server
    issued = issue_client_token(actor=ANONYMOUS, agent=scene.agent, scopes=list(SCOPES))
    assert isinstance(issued, IssuedTokens)
    claims = claims_of(issued.access_token)
    assert claims["sid"] == issued.family.id
    assert claims["org_id"] == scene.agent.organization_id
    revoke_token(actor=ANONYMOUS, token=issued.access_token)
    assert refusal(own, issued.access_token) == "token_revoked"
    assert answer(scene.server).items == (), "the default audience is for services of the agent's organization"


def test_it_begins_two_lifetimes_ago(scene: Scene) -> None:
    deactivate_user(actor=SYSTEM, user=scene.user, reason="x")
    with time_machine.travel(clock.now() + timedelta(minutes=30), tick=False):
        assert len(answer(scene.server).items) == 1
    with time_machine.travel(clock.now() + timedelta(minutes=32), tick=False):
        assert answer(scene.server, 0).items == ()


def test_a_log_that_was_restored_is_read_from_its_beginning(scene: Scene) -> None:
    revoke_token(actor=ANONYMOUS, token=scene.token)
    sequence()
    size = answer(scene.server).next
    assert len(answer(scene.server, size + 1000).items) == 1
    assert answer(scene.server, size + 1000).next == size


@pytest.mark.postgresql
@pytest.mark.parametrize("segment", [postings.SEGMENT, 8])
def test_long_answers_come_in_parts_and_none_is_missing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, segment: int
) -> None:
    for module in (finding, in_order, log, postings, snapshot, tail):
        monkeypatch.setattr(module, "SEGMENT", segment)
    monkeypatch.setattr(postings, "BITMAP_BYTES", 512)
    monkeypatch.setattr(revocations, "MAX_ENTRIES", 3)
    families = []
    for _ in range(7):
        issued = grant(scene.agent, scene.user)[2]
        revoke_token(actor=ANONYMOUS, token=issued.access_token)
        families.append(issued.family.id)
    sequence()
    last = grant(scene.agent, scene.user)[2]
    revoke_token(actor=ANONYMOUS, token=last.access_token)
    assert bool(Segment.objects.count()) == (segment == 8)
    found, after, parts = [], None, 0
    while True:
        got = answer(scene.server, after)
        found += [one.family_id for one in got.items if one.kind == "family"]
        after, parts = got.next, parts + 1
        if not got.more:
            break
    assert found == [*families, last.family.id]
    assert parts > 2


@pytest.mark.postgresql
def test_an_answer_needs_few_queries(scene: Scene, django_assert_max_num_queries: Any) -> None:
    sequence()
    after = answer(scene.server).next
    with django_assert_max_num_queries(2):
        assert answer(scene.server, after).items == ()
    for act, *_ in (ACTS["token revoked"], ACTS["agent stopped"], ACTS["user deactivated"]):
        act(scene)
    with django_assert_max_num_queries(6):
        assert len(answer(scene.server, after).items) == 3


def test_the_end_of_a_service_is_logged_for_each_family(scene: Scene) -> None:
    servers_taken_over.send(ResourceServer, servers=[scene.server], now=clock.now())
    (entry,) = log_entries(event=Event.TOKEN_REVOKED)
    assert entry.content["metadata"] == {"familyId": scene.issued.family.id, "lostResources": [NAMED]}
    assert entry.user_id == scene.user.id
    assert set(entry.organization_ids) == {scene.agent.organization_id, scene.server.organization_id}
