"""Handing work on: what an agent may hand over, to whom, and the tokens of the one that receives it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import connection

from agents.emergency import stop_everything
from agents.errors import EverythingStopped
from agents.models import Agent
from audit.events import Event
from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from consent.services import revoke_consent
from consent.targets import Pick
from core import clock
from core.actor import SYSTEM
from core.errors import DomainError, Invalid, Throttled
from developers.models import Organization
from resources.errors import InvalidScope
from tests.log import log_entries
from tests.shared import cases, copied, rows_of_module
from tests.tokens.test_flows import is_allowed
from tests.world import (
    ANONYMOUS,
    Grant,
    as_user,
    ask,
    grant_to,
    hand_over,
    let_delegate,
    make_agent,
    make_developer,
    make_grant,
    make_user,
)
from tokens import delegations
from tokens.delegations import Delegated, Wanted, create_delegation, end_delegation, live_delegations
from tokens.errors import DelegationNotAllowed, InvalidGrant, TargetNotHeld
from tokens.exchange import redeem_delegation
from tokens.issuing import IssuedTokens, Refusal
from tokens.models import AccessToken, Delegation, RefreshToken, TokenFamily
from tokens.refresh import refresh_tokens
from tokens.services import revoke_token
from tokens.tasks import sweep_tokens

pytestmark = pytest.mark.django_db

SCOPES = ["email:read", "email:send", "calendar:freebusy"]
RATE: dict[str, Any] = {"type": "rate_limit", "config": {"maxRequests": 2, "windowSeconds": 3600, "scope": "per_user"}}
LONG_VALUES = [f"{number:0150}" for number in range(40)]
LONG = {
    "type": "context_match",
    "config": {"conditions": [{"field": "recipient", "operator": "in", "values": LONG_VALUES}]},
}
NOON = datetime(2026, 3, 23, 12, tzinfo=UTC)


def rate(**config: Any) -> dict[str, Any]:
    return {**RATE, "config": {**RATE["config"], **config}}


class World:
    """A user's grant to the first agent, which may hand work on to others of its organization."""

    def __init__(self) -> None:
        self.grant: Grant = make_grant(scopes=SCOPES)
        self.developer = self.grant.agent.organization.developers.get()  # type: ignore[union-attr]
        self.second = self.make("Summarizer")
        self.third = self.make("Translator")
        let_delegate(self.grant.access_token)

    def make(self, name: str, **fields: Any) -> Agent:
        return make_agent(self.developer, name=name, **{"allowed_scopes": SCOPES, **fields})

    def stranger(self, name: str = "Stranger") -> Agent:
        return make_agent(make_developer(f"{name}@example.com", name), name=name, allowed_scopes=SCOPES)


@pytest.fixture(scope="module")
def made_world(django_db_setup: None, django_db_blocker: Any) -> Any:
    with rows_of_module(django_db_blocker):
        yield World()


world = copied("made_world")


def create(world: World, **wanted: Any) -> Delegated:
    wanted = {"to": world.second.client_id, "scopes": ["email:read"], **wanted}
    agent = wanted.pop("agent", world.grant.agent)
    token = wanted.pop("token", world.grant.access_token)
    return create_delegation(actor=ANONYMOUS, agent=agent, token=token, wanted=Wanted(**wanted))


def redeem(agent: Agent, token: str, **fields: Any) -> IssuedTokens | Refusal:
    return redeem_delegation(actor=ANONYMOUS, agent=agent, token=token, **fields)


def refresh(agent: Agent, issued: IssuedTokens, **fields: Any) -> IssuedTokens | Refusal:
    assert issued.refresh_token
    return refresh_tokens(actor=ANONYMOUS, agent=agent, refresh_token=issued.refresh_token, **fields)


def suspend(agent: Agent) -> None:
    Agent.objects.filter(pk=agent.pk).update(status="suspended")


def refused(act: Any, *arguments: Any, **fields: Any) -> DomainError:
    with pytest.raises(DomainError) as caught:
        act(*arguments, **fields)
    return caught.value


class TestWhoReceives:
    @cases(
        ("mode", "same", "verified", "works"),
        [
            ("none", True, True, False),
            ("developer", True, False, True),
            ("developer", False, True, False),
            ("verified", True, False, True),
            ("verified", False, True, True),
            ("verified", False, False, False),
        ],
    )
    def test_the_mode_of_the_connection_says(
        self, world: World, mode: str, same: bool, verified: bool, works: bool
    ) -> None:
        let_delegate(world.grant.access_token, mode)
        to = world.second if same else world.stranger()
        Organization.objects.filter(pk=to.organization_id).update(is_verified=verified)
        if works:
            assert create(world, to=to.client_id).delegation.to_agent == to
        else:
            assert isinstance(refused(create, world, to=to.client_id), DelegationNotAllowed)

    def test_an_unknown_agent_and_one_that_is_not_permitted_look_alike(self, world: World) -> None:
        unknown, stranger = refused(create, world, to="agc_none"), refused(create, world, to=world.stranger().client_id)
        assert isinstance(unknown, DelegationNotAllowed)
        assert (unknown.code, unknown.detail, unknown.errors) == (stranger.code, stranger.detail, stranger.errors)

    @cases("change", [{"client_type": "public"}, {"organization": None}, {"status": "suspended"}])
    def test_neither_a_client_without_a_secret_nor_one_without_an_organization_takes(
        self, world: World, change: dict[str, Any]
    ) -> None:
        Agent.objects.filter(pk=world.second.pk).update(**change)
        assert isinstance(refused(create, world), DelegationNotAllowed)

    def test_a_client_without_a_secret_gives_nothing(self, world: World) -> None:
        Agent.objects.filter(pk=world.grant.agent.pk).update(client_type="public")
        assert isinstance(refused(create, world), DelegationNotAllowed)

    def test_no_agent_stands_twice_in_a_chain(self, world: World) -> None:
        below = hand_over(world.grant.access_token, world.second, ["email:read"])[1]
        for to in (world.grant.agent, world.second):
            failure = refused(create, world, agent=world.second, token=below.access_token, to=to.client_id)
            assert isinstance(failure, DelegationNotAllowed)


class TestWhatIsHandedOver:
    def test_nothing_that_the_agent_or_the_receiver_lacks(self, world: World) -> None:
        Agent.objects.filter(pk=world.second.pk).update(allowed_scopes=["email:read"])
        for scopes in ([], ["profile:read"], ["email:send"]):
            assert isinstance(refused(create, world, scopes=scopes), InvalidScope)

    def test_no_scope_that_the_user_has_taken_back(self, world: World) -> None:
        below = hand_over(world.grant.access_token, world.second, ["email:read", "email:send"])[1]
        narrow_consent(
            actor=as_user(world.grant.user),
            user=world.grant.user,
            consent=world.grant.consent,
            narrowing=Narrowing(remove_scopes=["email:send"]),
        )
        assert isinstance(refused(create, world, scopes=["email:send"]), InvalidScope)
        third = {"agent": world.second, "token": below.access_token, "to": world.third.client_id}
        assert isinstance(refused(create, world, **third, scopes=["email:send"]), InvalidScope)
        assert create(world, **third).delegation.path[0] == below.family.delegation_id

    def test_limits_are_those_that_users_can_set(self, world: World) -> None:
        limits = {"email:read": [RATE], "email:send": []}
        made = create(world, scopes=["email:read", "email:send"], limits=limits).delegation
        assert Delegation.objects.get(pk=made.pk).limits == {"email:read": [RATE]}

    @cases(
        ("limits", "field"),
        [
            ({"email:send": [RATE]}, "limits.email:send"),
            ({"email:read": {}}, "limits.email:read"),
            ({"email:read": [RATE] * 6}, "limits.email:read"),
            ({"email:read": [RATE, {"type": "cedar"}]}, "limits.email:read.1.type"),
            ({"email:read": [rate(maxRequests=0)]}, "limits.email:read.0.config.maxRequests"),
            ({"email:read": [rate(actions=["email:read"])]}, "limits.email:read.0.config.actions"),
            ({"email:read": [LONG]}, "limits"),
        ],
    )
    def test_other_limits_are_refused_by_their_names(self, world: World, limits: Any, field: str) -> None:
        failure = refused(create, world, limits=limits)
        assert isinstance(failure, Invalid)
        assert [one.field for one in failure.errors] == [field]

    def test_a_delegation_ends_when_what_it_comes_from_does(self, world: World) -> None:
        assert create(world).delegation.expires_at - clock.now() <= delegations.LIFETIME
        soon = (clock.now() + timedelta(minutes=5)).replace(microsecond=0)
        Consent.objects.filter(pk=world.grant.consent.pk).update(expires_at=soon)
        assert create(world).delegation.expires_at == soon
        TokenFamily.objects.update(expires_at=soon - timedelta(minutes=1))
        first, issued = hand_over(world.grant.access_token, world.second, ["email:read"])
        assert first.expires_at == soon - timedelta(minutes=1)
        Delegation.objects.filter(pk=first.pk).update(expires_at=soon - timedelta(minutes=2))
        below = create(world, agent=world.second, token=issued.access_token, to=world.third.client_id)
        assert below.delegation.expires_at == soon - timedelta(minutes=2)

    def test_the_depth_is_at_most_four_and_what_is_above_allows(self, world: World) -> None:
        for wrong in (0, 5):
            (problem,) = refused(create, world, max_depth=wrong).errors
            assert problem.field == "maxDepth"
        issued = hand_over(world.grant.access_token, world.second, ["email:read"], max_depth=2)[1]
        second = {"agent": world.second, "token": issued.access_token, "to": world.third.client_id}
        for wrong in (1, 3):
            assert refused(create, world, **second, max_depth=wrong).errors
        last = hand_over(issued.access_token, world.third, ["email:read"])[1]
        fourth = {"agent": world.third, "token": last.access_token, "to": world.make("Fourth").client_id}
        assert isinstance(refused(create, world, **fourth), DelegationNotAllowed)

    def test_a_chain_has_at_most_four_delegations(self, world: World) -> None:
        token = world.grant.access_token
        for number in range(4):
            agent = world.make(f"Agent {number}")
            token = hand_over(token, agent, ["email:read"])[1].access_token
        fifth = {"agent": agent, "token": token, "to": world.make("Fifth").client_id}
        assert isinstance(refused(create, world, **fifth), DelegationNotAllowed)

    def test_a_task_stays_when_work_is_handed_on(self, world: World) -> None:
        issued = hand_over(world.grant.access_token, world.second, ["email:read"], task="invoice 7")[1]
        second = {"agent": world.second, "token": issued.access_token, "to": world.third.client_id}
        assert create(world, **second).delegation.task == "invoice 7"
        assert refused(create, world, **second, task="another").errors[0].field == "task"

    def test_neither_a_token_nor_a_secret_is_stored(self, world: World) -> None:
        made = create(world)
        assert made.token not in repr(list(Delegation.objects.values_list()))
        assert made.token not in repr(made)


class TestTargets:
    """The user bounds `email:read` to two accounts. `email:send` is not bounded."""

    @pytest.fixture
    def bounded(self, world: World) -> World:
        detail = {"type": "account", "field": "target", "identifiers": ["work", "home"]}
        Consent.objects.filter(pk=world.grant.consent.pk).update(terms={"targets": {"email:read": [detail]}})
        return world

    def targets(self, world: World, *picks: Pick, scopes: tuple[str, ...] = ("email:read", "email:send")) -> Any:
        made = create(world, scopes=scopes, targets=picks).delegation
        return {scope: [(one["type"], one["identifiers"]) for one in all_of] for scope, all_of in made.targets.items()}

    def test_without_picks_the_agents_own(self, bounded: World) -> None:
        assert self.targets(bounded) == {"email:read": [("account", ["work", "home"])]}

    def test_picks_bound_what_they_name(self, bounded: World) -> None:
        assert self.targets(bounded, Pick("account", ["home"])) == {"email:read": [("account", ["home"])]}
        assert self.targets(bounded, Pick("calendar", ["main"])) == {
            "email:read": [("account", ["work", "home"])],
            "email:send": [("calendar", ["main"])],
        }
        picks = Pick("account", ["work"], ["email:read"]), Pick("account", ["any"], ["email:send"])
        assert self.targets(bounded, *picks) == {
            "email:read": [("account", ["work"])],
            "email:send": [("account", ["any"])],
        }

    @cases(
        ("pick", "field"),
        [
            (Pick("account", ["other"]), "targets.0.identifiers.0"),
            (Pick("calendar", ["work"], ["email:read"]), "targets.0.identifiers.0"),
            (Pick("account", ["work"], ["calendar:freebusy"]), "targets.0.actions.0"),
            (Pick("account", []), "targets.0.identifiers"),
            (Pick("mailbox", ["work"]), "targets.0.type"),
            (Pick("calendar", ["two\nlines"]), "targets.0.identifiers.0"),
            (Pick("account", [f"{n:0200}" for n in range(50)], ["email:send"]), "targets"),
        ],
    )
    def test_nothing_else_is_handed_over(self, bounded: World, pick: Pick, field: str) -> None:
        failure = refused(self.targets, bounded, pick)
        assert isinstance(failure, TargetNotHeld)
        assert [one.field for one in failure.errors] == [field]

    def test_a_scope_is_picked_once_and_a_type_must_have_a_scope(self, bounded: World) -> None:
        twice = refused(self.targets, bounded, Pick("account", ["work"]), Pick("account", ["home"], ["email:read"]))
        none = refused(self.targets, bounded, Pick("calendar", ["main"]), scopes=("email:read",))
        assert [twice.errors[0].field, none.errors[0].field] == ["targets.1.actions.0", "targets.0.type"]

    def test_what_is_handed_on_is_within_what_was_handed_over(self, bounded: World) -> None:
        picks = [Pick("account", ["home"])]
        issued = hand_over(bounded.grant.access_token, bounded.second, ["email:read"], targets=picks)[1]
        assert issued.authorization_details == [{"type": "account", "identifiers": ["home"], "actions": ["email:read"]}]
        below = {"agent": bounded.second, "token": issued.access_token, "to": bounded.third.client_id}
        assert isinstance(refused(create, bounded, **below, targets=[Pick("account", ["work"])]), TargetNotHeld)
        assert create(bounded, **below).delegation.targets["email:read"][0]["identifiers"] == ["home"]


class TestWhatIsNotLive:
    @cases("change", [{"revoked_at": NOON}, {"expires_at": NOON}])
    def test_an_ended_family_hands_nothing_over(self, world: World, change: dict[str, Any]) -> None:
        TokenFamily.objects.update(**change)
        assert isinstance(refused(create, world), InvalidGrant)

    def test_nor_does_an_expired_or_foreign_token(self, world: World) -> None:
        assert isinstance(refused(create, world, agent=world.second), InvalidGrant)
        assert isinstance(refused(create, world, token="no token"), InvalidGrant)
        AccessToken.objects.update(expires=NOON)
        assert isinstance(refused(create, world), InvalidGrant)

    def test_nor_does_a_revoked_connection_or_a_stopped_agent(self, world: World) -> None:
        suspend(world.grant.agent)
        assert isinstance(refused(create, world), InvalidGrant)
        Agent.objects.filter(pk=world.grant.agent.pk).update(status="active")
        revoke_consent(actor=as_user(world.grant.user), consent=world.grant.consent)
        assert isinstance(refused(create, world), InvalidGrant)

    def test_nor_does_an_ended_delegation_or_a_stopped_receiver(self, world: World) -> None:
        first, issued = hand_over(world.grant.access_token, world.second, ["email:read"])
        below = {"agent": world.second, "token": issued.access_token, "to": world.third.client_id}
        suspend(world.second)
        assert isinstance(refused(create, world, **below), InvalidGrant)
        Agent.objects.filter(pk=world.second.pk).update(status="active")
        end_delegation(actor=SYSTEM, delegation=first)
        assert isinstance(refused(create, world, **below), InvalidGrant)

    def test_nor_is_anything_handed_over_while_everything_is_stopped(self, world: World) -> None:
        made = create(world)
        stop_everything(actor=SYSTEM, reason="Something is wrong.")
        assert isinstance(refused(create, world), EverythingStopped)
        refusal = redeem(world.second, made.token)
        assert isinstance(refusal, Refusal)
        assert refusal.code == "everything_stopped"


class TestRedemption:
    def test_only_the_receiver_redeems_and_only_once(self, world: World) -> None:
        made = create(world)
        assert isinstance(redeem(world.third, made.token), Refusal)
        assert isinstance(redeem(world.grant.agent, made.token), Refusal)
        issued = redeem(world.second, made.token)
        assert isinstance(issued, IssuedTokens)
        again = redeem(world.second, made.token)
        assert isinstance(again, Refusal)
        assert again.code == "invalid_grant"
        assert is_allowed(issued.access_token), "a second use ends nothing"
        assert log_entries(event=Event.DELEGATION_REDEEMED).count() == 1

    def test_a_minute_later_the_token_is_worth_nothing(self, world: World) -> None:
        with time_machine.travel(clock.now(), tick=False) as traveller:
            made = create(world)
            traveller.shift(timedelta(seconds=60))
            assert isinstance(redeem(world.second, made.token), Refusal)

    def test_what_ended_meanwhile_is_not_redeemed(self, world: World) -> None:
        ended, suspended, gone = create(world), create(world, to=world.third.client_id), create(world)
        end_delegation(actor=SYSTEM, delegation=ended.delegation)
        assert isinstance(redeem(world.second, ended.token), Refusal)
        suspend(world.third)
        assert isinstance(redeem(world.third, suspended.token), Refusal)
        revoke_consent(actor=as_user(world.grant.user), consent=world.grant.consent)
        assert isinstance(redeem(world.second, gone.token), Refusal)

    def test_what_is_left_of_the_scopes_is_issued(self, world: World) -> None:
        some, none = create(world, scopes=["email:read", "email:send"]), create(world, scopes=["email:send"])
        Agent.objects.filter(pk=world.grant.agent.pk).update(allowed_scopes=["email:read"])
        issued = redeem(world.second, some.token)
        assert isinstance(issued, IssuedTokens)
        assert issued.scopes == ("email:read",)
        refusal = redeem(world.second, none.token)
        assert isinstance(refusal, Refusal)
        assert refusal.code == "invalid_grant"

    def test_a_request_may_narrow_and_never_widen(self, world: World) -> None:
        made = create(world, scopes=["email:read", "email:send"])
        wider = redeem(world.second, made.token, scopes=["email:read", "calendar:freebusy"])
        other = redeem(world.second, made.token, resource=["https://other.example"])
        narrower = redeem(world.second, made.token, scopes=["email:send"], resource=[settings.API_URL])
        assert [wider.code, other.code] == ["invalid_scope", "invalid_target"]  # type: ignore[union-attr]
        assert isinstance(narrower, IssuedTokens)
        assert narrower.scopes == ("email:send",)


class TestTokens:
    def test_a_long_delegation_has_a_refresh_token_until_its_end(self, world: World) -> None:
        with time_machine.travel(clock.now().replace(microsecond=0), tick=False) as traveller:
            made, issued = hand_over(world.grant.access_token, world.second, ["email:read"])
            assert [issued.expires_in, issued.refresh_expires_in] == [900, 3600]
            assert RefreshToken.objects.get(family=issued.family).expires == made.expires_at
            traveller.shift(timedelta(minutes=50))
            last = refresh(world.second, issued)
            assert isinstance(last, IssuedTokens)
            assert [last.expires_in, last.refresh_expires_in] == [600, 600]
            assert AccessToken.objects.get(family=issued.family, expires=made.expires_at)
            assert TokenFamily.objects.get(pk=issued.family.pk).expires_at == made.expires_at
            traveller.shift(timedelta(minutes=10))
            assert isinstance(refresh(world.second, last), Refusal)

    def test_a_short_one_has_none(self, world: World) -> None:
        with time_machine.travel(clock.now().replace(microsecond=0), tick=False):
            wanted = {"lifetime": timedelta(minutes=15)}
            issued = hand_over(world.grant.access_token, world.second, ["email:read"], **wanted)[1]
            assert issued.refresh_token is None
            assert issued.expires_in == 900
            assert is_allowed(issued.access_token)
            assert not RefreshToken.objects.filter(family=issued.family).exists()

    def test_a_refresh_belongs_to_the_receiver_and_repeats_as_usual(self, world: World) -> None:
        issued = hand_over(world.grant.access_token, world.second, ["email:read"])[1]
        assert isinstance(refresh(world.grant.agent, issued), Refusal)
        first = refresh(world.second, issued, is_repeatable=True)
        again = refresh(world.second, issued, is_repeatable=True)
        assert isinstance(first, IssuedTokens)
        assert isinstance(again, IssuedTokens)
        assert (first.access_token, first.family.application) == (again.access_token, world.second)
        assert again.refresh_expires_in <= 3600
        assert is_allowed(first.access_token)

    def test_a_refresh_gives_what_the_chain_still_allows(self, world: World) -> None:
        issued = hand_over(world.grant.access_token, world.second, ["email:read", "email:send"])[1]
        TokenFamily.objects.filter(application=world.grant.agent).update(removed_scopes=["email:send"])
        less = refresh(world.second, issued)
        assert isinstance(less, IssuedTokens)
        assert less.scopes == ("email:read",)
        TokenFamily.objects.filter(application=world.grant.agent).update(removed_scopes=["email:read", "email:send"])
        assert isinstance(refresh(world.second, less), Refusal)

    @cases("end", ["delegation", "family", "agent", "connection", "mode"])
    def test_a_refresh_after_an_end_is_refused(self, world: World, end: str) -> None:
        made, issued = hand_over(world.grant.access_token, world.second, ["email:read"])
        match end:
            case "delegation":
                end_delegation(actor=SYSTEM, delegation=made)
            case "family":
                revoke_token(actor=ANONYMOUS, token=world.grant.access_token)
            case "agent":
                suspend(world.grant.agent)
            case "connection":
                revoke_consent(actor=as_user(world.grant.user), consent=world.grant.consent)
            case "mode":
                let_delegate(world.grant.access_token, "none")
        refusal = refresh(world.second, issued)
        assert isinstance(refusal, Refusal)
        assert refusal.code == "invalid_grant"
        assert not is_allowed(issued.access_token)

    def test_a_replay_and_a_revocation_end_what_the_receiver_has_and_all_below(self, world: World) -> None:
        for end in ("replay", "revoke"):
            issued = hand_over(world.grant.access_token, world.second, ["email:read"])[1]
            below = hand_over(issued.access_token, world.third, ["email:read"])[1]
            if end == "replay":
                refresh(world.second, issued)
                assert isinstance(refresh(world.second, issued), Refusal)
            else:
                assert revoke_token(actor=ANONYMOUS, token=issued.access_token, agent=world.second)
            assert not is_allowed(issued.access_token)
            assert not is_allowed(below.access_token)
            assert isinstance(refresh(world.third, below), Refusal)
            assert is_allowed(world.grant.access_token)


class TestHowMany:
    def test_only_what_is_live_counts(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(delegations, "MAX_LIVE", 3)
        with time_machine.travel(clock.now(), tick=False) as traveller:
            create(world)
            traveller.shift(timedelta(seconds=60))
            first, issued = hand_over(world.grant.access_token, world.second, ["email:read"])
            below = hand_over(issued.access_token, world.third, ["email:read"])[1]
            other = create(world)
            assert live_delegations(clock.now()).count() == 3, "one was never redeemed"
            assert isinstance(refused(create, world), DelegationNotAllowed)
            end_delegation(actor=SYSTEM, delegation=other.delegation)
            third = hand_over(world.grant.access_token, world.third, ["email:read"])[1]
            revoke_token(actor=ANONYMOUS, token=third.access_token)
            create(world)
            assert isinstance(refused(create, world), DelegationNotAllowed)
            end_delegation(actor=SYSTEM, delegation=first)
            assert live_delegations(clock.now()).count() == 1, "what is below has ended with it"
            assert below.family.delegation_id not in live_delegations(clock.now()).values_list("pk", flat=True)
            assert create(world)

    def test_other_connections_have_room_of_their_own(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(delegations, "MAX_LIVE", 1)
        create(world)
        other = grant_to(world.grant.agent, make_user("bob@example.com"), ["email:read"])
        let_delegate(other)
        assert create(world, token=other)

    def test_creating_is_bounded_per_day(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(delegations, "PER_DAY", "1/day")
        delegations.throttle_delegations(world.grant.agent, world.grant.access_token)
        with pytest.raises(Throttled):
            delegations.throttle_delegations(world.grant.agent, world.grant.access_token)

    def test_creating_is_throttled_per_connection(self, world: World, settings: Any) -> None:
        settings.THROTTLE_DELEGATE = "2/minute"
        other = grant_to(world.grant.agent, make_user("bob@example.com"), ["email:read"])
        for _ in range(2):
            delegations.throttle_delegations(world.grant.agent, world.grant.access_token)
        with pytest.raises(Throttled):
            delegations.throttle_delegations(world.grant.agent, world.grant.access_token)
        for agent, token in ((world.grant.agent, other), (world.second, world.grant.access_token), (world.second, "")):
            delegations.throttle_delegations(agent, token)

    def test_an_agent_that_was_handed_work_takes_neither_the_places_nor_the_turns_of_the_first(
        self, world: World, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.THROTTLE_DELEGATE = "2/minute"
        monkeypatch.setattr(delegations, "MAX_LIVE", 10)
        first, issued = hand_over(world.grant.access_token, world.second, ["email:read"])
        for _ in range(8):
            create(world, agent=world.second, token=issued.access_token, to=world.third.client_id)
        with pytest.raises(DelegationNotAllowed):
            create(world, agent=world.second, token=issued.access_token, to=world.third.client_id)
        create(world)
        end_delegation(actor=SYSTEM, delegation=first)
        for _ in range(2):
            delegations.throttle_delegations(world.second, issued.access_token)
        with pytest.raises(Throttled):
            delegations.throttle_delegations(world.second, issued.access_token)
        settings.THROTTLE_DELEGATE = "9/minute"
        for name in ("PER_DAY_BELOW", "PER_DAY"):
            monkeypatch.setattr(delegations, name, "1/day")
            with pytest.raises(Throttled):
                delegations.throttle_delegations(world.second, issued.access_token)
            monkeypatch.undo()
        delegations.throttle_delegations(world.grant.agent, world.grant.access_token)


def test_ended_twice_is_ended_once(world: World) -> None:
    made = create(world).delegation
    first = end_delegation(actor=SYSTEM, delegation=made).ended_at
    assert end_delegation(actor=SYSTEM, delegation=made).ended_at == first
    assert log_entries(event=Event.DELEGATION_ENDED).count() == 1


def test_a_delegation_is_deleted_a_day_after_its_end_with_all_below(world: World) -> None:
    with time_machine.travel(clock.now(), tick=False) as traveller:
        issued = hand_over(world.grant.access_token, world.second, ["email:read"])[1]
        hand_over(issued.access_token, world.third, ["email:read"])
        traveller.shift(timedelta(days=1, minutes=59))
        sweep_tokens()
        assert Delegation.objects.count() == 2
        traveller.shift(timedelta(minutes=1))
        connection.check_constraints()  # defers them again: revocations before have not, in the same transaction
        sweep_tokens()
        assert not Delegation.objects.exists()
        assert list(TokenFamily.objects.all()) == list(TokenFamily.objects.filter(delegation=None))


def test_a_request_of_another_consent_is_no_connection(world: World) -> None:
    """A token of the agent itself acts for no user, so it hands nothing over."""
    assert ask(world.grant.agent).delegation == "none"
    TokenFamily.objects.update(consent=None)
    assert isinstance(refused(create, world), InvalidGrant)
