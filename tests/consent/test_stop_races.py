"""Agents verify while a stop is made: once it has answered, no allowed decision commits, at every level."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import combinations

import pytest

from agents import emergency
from agents.emergency import lift_emergency_stop, stop_everything
from agents.errors import EverythingStopped
from agents.services import lift_agent_stop, stop_agent, update_agent
from audit.events import Event, Outcome
from audit.proof.stops import (
    EVERYTHING,
    Level,
    agent_level,
    connection_level,
    organization_level,
    person_level,
    prove_stop,
)
from consent import granting
from consent.granting import approve_consent
from consent.models import Consent
from consent.pausing import pause_agent, pause_all_agents, resume_agent, resume_all_agents
from core.actor import SYSTEM
from decisions.requests import Decision, VerifyRequest
from decisions.services import decide
from developers.services import reactivate_organization, suspend_organization
from developers.stopping import resume_organization, stop_organization
from tests.log import log_entries
from tests.threads import race
from tests.waiting import wait_until
from tests.world import ANONYMOUS, Grant, as_owner, as_user, ask, make_grant
from tokens.issuing import EVERYTHING_STOPPED, IssuedTokens
from tokens.refresh import refresh_tokens

pytestmark = pytest.mark.django_db(transaction=True)

VERIFIERS = 4
VERIFIES_AFTER = 3
REASON = "Something is wrong."


class Stop:
    """A stop of the agent, the user or the organization of a grant. `event` is in its entry."""

    def __init__(self, grant: Grant, name: str) -> None:
        self.grant, self.name = grant, name
        self.user, self.agent, self.consent = grant.user, grant.agent, grant.consent
        self.actor = as_user(grant.user)

    def make(self) -> None:
        organization = self.agent.organization
        assert organization is not None
        match self.name:
            case "pause":
                pause_agent(actor=self.actor, consent=self.consent, reason=REASON)
            case "pause all":
                pause_all_agents(actor=self.actor, user=self.user, reason=REASON)
            case "suspend":
                update_agent(actor=SYSTEM, agent=self.agent, changes={"status": "suspended"})
            case "stop":
                stop_agent(actor=SYSTEM, agent=self.agent, reason=REASON)
            case "organization":
                suspend_organization(actor=SYSTEM, organization=organization, reason=REASON)
            case "own stop":
                stop_organization(actor=as_owner(organization), organization=organization, reason=REASON)
            case "everything":
                stop_everything(actor=SYSTEM, reason=REASON)

    def lift(self) -> None:
        organization = self.agent.organization
        assert organization is not None
        match self.name:
            case "pause":
                resume_agent(actor=self.actor, consent=self.consent, user=self.user)
            case "pause all":
                resume_all_agents(actor=self.actor, user=self.user)
            case "suspend":
                update_agent(actor=SYSTEM, agent=self.agent, changes={"status": "active"})
            case "stop":
                lift_agent_stop(actor=SYSTEM, agent=self.agent, reason=REASON)
            case "organization":
                reactivate_organization(actor=SYSTEM, organization=organization, reason=REASON)
            case "own stop":
                resume_organization(actor=as_owner(organization), organization=organization)
            case "everything":
                lift_emergency_stop(actor=SYSTEM, reason=REASON)

    @property
    def event(self) -> str:
        events = {
            "pause": Event.AGENT_PAUSED,
            "pause all": Event.AGENTS_PAUSED,
            "suspend": Event.AGENT_SUSPENDED,
            "stop": Event.AGENT_STOPPED,
            "organization": Event.ORGANIZATION_SUSPENDED,
            "own stop": Event.ORGANIZATION_STOPPED,
            "everything": Event.EVERYTHING_STOPPED,
        }
        return events[self.name]

    @property
    def level(self) -> Level:
        match self.name:
            case "pause":
                return connection_level(self.user.id, self.agent.id)
            case "pause all":
                return person_level(self.user.id)
            case "organization" | "own stop":
                return organization_level(str(self.agent.organization_id), [self.agent.id])
            case "everything":
                return EVERYTHING
        return agent_level(self.agent.id)


NAMES = ("pause", "pause all", "suspend", "stop", "organization", "own stop", "everything")
TOGETHER = (("pause", "pause all"), ("suspend", "stop"), ("organization", "everything"), ("stop", "own stop"))
PAIRS = [
    pytest.param(pair, id=" and ".join(pair), marks=() if pair in TOGETHER else pytest.mark.soak)
    for pair in combinations(NAMES, 2)
    if pair != ("organization", "own stop")  # a suspended organization can neither stop nor resume its agents
]
AGAIN = [pytest.param(name, marks=() if name == "stop" else pytest.mark.soak) for name in NAMES]


@pytest.fixture
def grant() -> Grant:
    return make_grant()


def verify(grant: Grant) -> Decision:
    (decision,) = decide([VerifyRequest(token=grant.access_token, required_scopes=["email:read"], actor=ANONYMOUS)])
    return decision


@contextmanager
def verifying(grant: Grant) -> Iterator[Callable[[], list[tuple[bool, Decision]]]]:
    """Verify in threads meanwhile. The function ends them and returns the decisions: whether each began afterwards."""
    over, seen, threads = threading.Event(), [], []

    def verify_in_a_loop() -> None:
        remaining = VERIFIES_AFTER
        while remaining:
            is_over = over.is_set()
            remaining -= is_over
            seen.append((is_over, verify(grant)))

    def run() -> None:
        race([verify_in_a_loop] * VERIFIERS)

    def end() -> list[tuple[bool, Decision]]:
        over.set()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
        return seen

    threads.append(threading.Thread(target=run))
    threads[0].start()
    try:
        wait_until(lambda: len(seen) >= VERIFIERS)
        yield end
    finally:
        end()


def assert_none_after(seen: list[tuple[bool, Decision]], *stops: Stop) -> None:
    """No decision that began after the stops had answered is allowed, and the log has none after the stops' entries."""
    after = [decision for is_after, decision in seen if is_after]
    assert len(after) == VERIFIERS * VERIFIES_AFTER
    assert not any(decision.allowed for decision in after)
    for stop in stops:
        proof = prove_stop(stop.level)  # from the journal
        assert proof is not None
        assert (proof.allowed_after, proof.lifted_at) == (0, None)
        entry = log_entries().get(event=stop.event)
        allowed = log_entries(event=Event.TOKEN_VERIFY, outcome=Outcome.ALLOWED)
        assert not allowed.filter(leaf_index__gt=entry.leaf_index).exists()
        again = prove_stop(stop.level)  # from the log
        assert again is not None
        assert again.last_allowed is not None
        assert (again.allowed_after, again.last_allowed.id) == (0, allowed.latest("leaf_index").id)
        assert again.entry_id == proof.entry_id or len(stops) > 1


@pytest.mark.parametrize("name", NAMES)
def test_no_allowed_decision_commits_after_a_stop_has_answered(name: str, grant: Grant) -> None:
    stop = Stop(grant, name)
    with verifying(grant) as end:
        stop.make()
        seen = end()

    assert any(decision.allowed for _, decision in seen)
    assert_none_after(seen, stop)


@pytest.mark.parametrize("names", PAIRS)
def test_two_stops_at_once(names: tuple[str, ...], grant: Grant) -> None:
    stops = [Stop(grant, name) for name in names]
    with verifying(grant) as end:
        race([stop.make for stop in stops])
        seen = end()

    assert_none_after(seen, *stops)


@pytest.mark.parametrize("names", PAIRS)
def test_lifting_one_of_two_stops_allows_nothing_meanwhile(names: tuple[str, ...], grant: Grant) -> None:
    stops = [Stop(grant, name) for name in names]
    for kept, lifted in (stops, stops[::-1]):
        kept.make()
        lifted.make()
        with verifying(grant) as end:
            lifted.lift()
            seen = end()
        assert not any(decision.allowed for _, decision in seen)
        kept.lift()
        assert verify(grant).allowed


@pytest.mark.parametrize(
    "name", ["stop", *(pytest.param(name, marks=pytest.mark.soak) for name in NAMES if name != "stop")]
)
def test_a_stop_that_is_made_and_lifted_again_and_again(name: str, grant: Grant) -> None:
    """Each allowed decision is before a stop or after it was lifted, in the log."""
    stop = Stop(grant, name)
    with verifying(grant) as end:
        for _ in range(4):
            stop.make()
            assert not verify(grant).allowed
            stop.lift()
        stop.make()
        assert_none_after(end(), *())

    is_stopped, ends = False, {lift for lifts in stop.level.lifts.values() for lift in lifts}
    for event, outcome in log_entries().order_by("leaf_index").values_list("event", "outcome"):
        is_stopped = (is_stopped or event == stop.event) and event not in ends
        assert not (is_stopped and (event, outcome) == (Event.TOKEN_VERIFY, Outcome.ALLOWED))


def test_pauses_and_resumptions_at_once_leave_one_of_the_two_states(grant: Grant) -> None:
    for name in ("pause", "pause all"):
        stop = Stop(grant, name)
        race([stop.make, stop.lift] * 3)

        newest = log_entries(event__in=[stop.event, *stop.level.lifts[Event(stop.event)]]).latest("leaf_index")
        assert verify(grant).allowed is (newest.event != stop.event)
        stop.lift()


def test_a_pause_beside_an_approval_is_not_lost(grant: Grant) -> None:
    """The consent that replaces the paused one is paused, whichever of the two is first."""
    for _ in range(2):
        pending = ask(grant.agent, scopes=["email:read", "email:send"])
        race([lambda: Stop(grant, "pause").make(), lambda consent=pending: approve(grant, consent)])

        assert verify(grant).reason == "consent_paused"
        live = Consent.objects.get(user=grant.user, status="approved")
        assert live.paused_at is not None
        Stop(grant, "pause").lift()
        assert verify(grant).allowed


def approve(grant: Grant, consent: Consent) -> object:
    return approve_consent(actor=as_user(grant.user), consent=consent, user=grant.user)


def test_a_stop_of_everything_waits_for_an_approval_that_has_begun(
    grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending, is_reached, may_go_on = ask(grant.agent), threading.Event(), threading.Event()
    issue_code, order = granting.issue_code, []

    def linger(*arguments: object) -> str:
        is_reached.set()
        may_go_on.wait(0.3)
        return issue_code(*arguments)  # type: ignore[arg-type]

    def stop_meanwhile() -> None:
        assert is_reached.wait(10)
        stop_everything(actor=SYSTEM, reason=REASON)
        order.append(Consent.objects.get(pk=pending.pk).status)

    monkeypatch.setattr(granting, "issue_code", linger)
    race([lambda: approve(grant, pending), stop_meanwhile])

    assert order == ["approved"]
    events = list(log_entries(event__in=["consent.approved", "everything.stopped"]).values_list("event", flat=True))
    assert events[0] == "everything.stopped"


def test_nothing_is_granted_or_issued_after_everything_was_stopped(grant: Grant) -> None:
    pending = [ask(grant.agent) for _ in range(2)]
    acts: list[Callable[[], object]] = [lambda consent=one: approve(grant, consent) for one in pending]
    acts += [lambda: refresh_tokens(actor=ANONYMOUS, agent=grant.agent, refresh_token=grant.refresh_token)]

    *outcomes, _ = race([*acts, lambda: stop_everything(actor=SYSTEM, reason=REASON)])

    refused = [one for one in outcomes if isinstance(one, EverythingStopped) or one is EVERYTHING_STOPPED]
    done = ["consent.approved", "token.refreshed"]
    newest = log_entries(event="everything.stopped").get().leaf_index
    assert not log_entries(event__in=done, leaf_index__gt=newest).exists()
    assert len(refused) + sum(isinstance(one, (granting.Granted, IssuedTokens)) for one in outcomes) == 3
    assert isinstance(race([acts[0]])[0], EverythingStopped)


def test_two_administrators_stop_everything_once() -> None:
    outcomes = race([lambda: stop_everything(actor=SYSTEM, reason=REASON)] * 4)

    assert sorted(outcomes) == [False, False, False, True]
    assert log_entries(event="everything.stopped").count() == 1
    outcomes = race([lambda: lift_emergency_stop(actor=SYSTEM, reason=REASON)] * 4)
    assert sorted(outcomes) == [False, False, False, True]
    assert emergency.emergency_stop() is None
