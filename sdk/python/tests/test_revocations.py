"""An offline guard refuses what ended, and everything once it does not know what ended."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import httpx
import pytest
from fake_gate import BASE_URL, problem
from test_offline import AUDIENCE, KEY, QUESTION, Keys, public_jwk, token

from agentgate_oauth import Decision, RetryPolicy
from agentgate_oauth._base import basic_credential
from agentgate_oauth._drivers import SyncDriver
from agentgate_oauth.service import Guard, Refusal
from agentgate_oauth.service.ended import KEEP_SECONDS, MAX_KEPT, Ended, Revocation
from agentgate_oauth.service.revocations import Revocations

LEASE, TIMEOUT = 30.0, 5.0
AT = 1_800_000_000
CLAIMS = {
    "iat": AT,
    "sid": "fam_1",
    "consent_id": "cns_1",
    "client_id": "agc_1",
    "sub": "usr_1",
    "org_id": "org_1",
}
KINDS = {
    "family": ("familyId", "fam_1", "token_revoked"),
    "consent": ("consentId", "cns_1", "consent_revoked"),
    "agent": ("clientId", "agc_1", "agent_suspended"),
    "user": ("userId", "usr_1", "user_inactive"),
    "organization": ("organizationId", "org_1", "organization_suspended"),
}

# The client got the work from agc_2, and that from agc_3.
ACTOR_OF_ANOTHER = {"sub": "agc_8", "sid": "fam_8", "org_id": "org_8"}
DELEGATED = {
    **CLAIMS,
    "delegations": ["del_2", "del_1"],
    "act": {
        "sub": "agc_1",
        "act": {
            "sub": "agc_2",
            "sid": "fam_2",
            "org_id": "org_2",
            "act": {"sub": "agc_3", "sid": "fam_3", "org_id": "org_3"},
        },
    },
}
ABOVE = [
    *(("delegation", {"delegationId": one}) for one in ("del_1", "del_2")),
    *(("family", {"familyId": one}) for one in ("fam_2", "fam_3")),
    *(("agent", {"clientId": one}) for one in ("agc_2", "agc_3")),
    *(("organization", {"organizationId": one}) for one in ("org_2", "org_3")),
]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Feed:
    """Answers requests for revocations by what is queued, and notes them. `before` is called first."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, str]] = []
        self.before: Callable[[], None] = lambda: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/v1/revocations"
        assert request.headers["Authorization"].startswith("Basic ")
        self.asked.append(dict(request.url.params))
        self.before()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)


def said(*items: dict[str, Any], next: int = 0, more: bool = False) -> dict[str, Any]:
    return {"items": list(items), "next": next, "more": more}


def item(kind: str, at: float = AT, **fields: Any) -> dict[str, Any]:
    named = {KINDS[kind][0]: KINDS[kind][1]} if kind in KINDS and not fields else fields
    return {"kind": kind, "at": datetime.fromtimestamp(at, timezone.utc).isoformat(), **named}


def revocations(feed: Feed, clock: Clock | None = None, lease: float = LEASE) -> Revocations:
    driver = SyncDriver(BASE_URL, TIMEOUT, httpx.Client(transport=httpx.MockTransport(feed)))
    return Revocations(driver, basic_credential("res_1", "rs_1"), lease, TIMEOUT, clock or Clock())


def is_current(known: Revocations) -> bool:
    try:
        list(known.require_current())
    except Exception as error:
        assert getattr(error, "status", None) == 503
        return False
    return True


class TestWhatEnded:
    @pytest.mark.parametrize("kind", KINDS)
    def test_each_kind_ends_the_tokens_that_carry_its_id(self, kind):
        feed = Feed(said(item(kind)))
        known = revocations(feed)
        known.ask()
        claim = next(name for name, value in CLAIMS.items() if value == KINDS[kind][1])
        assert known.ended.reason(CLAIMS) == KINDS[kind][2]
        assert known.ended.reason({**CLAIMS, claim: "other"}) is None
        without = {name: value for name, value in CLAIMS.items() if name != claim}
        assert known.ended.reason(without) is None

    def test_tokens_issued_afterwards_work_except_those_of_the_family(self):
        ended = Ended(Clock())
        for kind in KINDS:
            ended = Ended(Clock())
            field = {"familyId": "family_id", "consentId": "consent_id", "clientId": "client_id"}
            name = field.get(KINDS[kind][0], f"{kind}_id")
            ended.add(
                [Revocation(kind, datetime.fromtimestamp(AT + 0.9, timezone.utc), **{name: KINDS[kind][1]})]
            )
            # Up to two seconds later, it can have been issued meanwhile.
            assert ended.reason({**CLAIMS, "iat": AT + 2}) == KINDS[kind][2]
            assert (ended.reason({**CLAIMS, "iat": AT + 3}) is None) == (kind != "family")

    def test_a_client_on_its_own_is_no_user(self):
        ended = Ended(Clock())
        ended.add([Revocation("user", datetime.fromtimestamp(AT, timezone.utc), user_id="agc_1")])
        assert ended.reason({"iat": AT, "sub": "agc_1", "client_id": "agc_1"}) is None

    def test_scopes_end_by_the_consent_and_by_the_client(self):
        known = revocations(
            Feed(
                said(
                    item("scope", consentId="cns_1", scopes=["email:send"]),
                    item("scope", clientId="agc_1", scopes=["email:read"]),
                    item("scope", clientId="agc_2", scopes=["email:search"]),
                )
            )
        )
        known.ask()
        scopes = ["email:read", "email:send", "email:search"]
        assert known.ended.remaining(CLAIMS, scopes) == ["email:search"]
        assert known.ended.remaining({**CLAIMS, "iat": AT + 3}, scopes) == scopes
        assert known.ended.reason(CLAIMS) is None

    @pytest.mark.parametrize(("kind", "ids"), ABOVE, ids=str)
    def test_what_ends_an_agent_above_ends_what_it_handed_on(self, kind, ids):
        known = revocations(Feed(said(item(kind, **ids))))
        known.ask()
        assert known.ended.reason(DELEGATED) == "delegation_ended"
        assert known.ended.reason(CLAIMS) is None
        of_the_client = {
            **DELEGATED,
            "act": {"sub": "agc_0", "act": ACTOR_OF_ANOTHER},
            "delegations": ["del_9"],
        }
        assert known.ended.reason(of_the_client) is None

    def test_what_is_handed_on_later_works_except_of_the_family_and_by_the_delegation(self):
        for kind, ids in ABOVE:
            known = revocations(Feed(said(item(kind, AT - 3, **ids))))
            known.ask()
            assert (known.ended.reason(DELEGATED) is None) == (kind in ("agent", "organization"))

    def test_the_scopes_of_an_agent_above_end(self):
        known = revocations(Feed(said(item("scope", clientId="agc_2", scopes=["email:send"]))))
        known.ask()
        scopes = ["email:read", "email:send"]
        assert known.ended.remaining(DELEGATED, scopes) == ["email:read"]
        assert known.ended.remaining(CLAIMS, scopes) == scopes

    def test_an_unknown_kind_ends_all_tokens_of_before(self):
        known = revocations(Feed(said(item("device", deviceId="dev_1"))))
        known.ask()
        assert known.ended.reason(CLAIMS) == "token_revoked"
        assert known.ended.reason({**CLAIMS, "iat": AT + 3}) is None

    def test_an_item_is_kept_for_two_lifetimes_of_a_token(self):
        clock = Clock()
        ended = Ended(clock)
        ended.add([Revocation("agent", datetime.fromtimestamp(AT, timezone.utc), client_id="agc_1")])
        for _ in range(2):
            clock.now += KEEP_SECONDS - 1
            ended.add([])
            assert ended.reason(CLAIMS) == "agent_suspended"
            clock.now += 1
            ended.add([])
        assert len(ended) == 0
        assert ended.reason(CLAIMS) is None

    def test_memory_is_bounded_and_nothing_that_ended_works_again(self):
        most, total, peak = 5_000, 15_000, 0
        tracemalloc.start()
        try:
            ended = Ended(Clock(), most)
            for number in range(total):
                at = datetime.fromtimestamp(AT + number / 100, timezone.utc)
                ended.add([Revocation("family", at, family_id=f"fam_{number:032x}")])
                assert len(ended) <= most
                peak = max(peak, tracemalloc.get_traced_memory()[0]) if number % 100 == 0 else peak
        finally:
            tracemalloc.stop()
        # Of a hundred thousand, that is 20 MB. The guide says so.
        assert peak / most < 200
        assert MAX_KEPT == 100_000
        for number in range(0, total, 99):
            claims = {**CLAIMS, "iat": AT + number // 100, "sid": f"fam_{number:032x}"}
            assert ended.reason(claims) == "token_revoked"
        assert ended.reason({**CLAIMS, "iat": AT + total // 100 + 1, "sid": "fam_live"}) is None


class TestTheLease:
    def test_it_ends_while_the_machine_is_suspended(self, monkeypatch):
        monkeypatch.setattr(time, "CLOCK_BOOTTIME", 7, raising=False)
        monkeypatch.setattr(time, "clock_gettime", {7: 1000.0}.__getitem__)
        feed = Feed(said(next=1))
        driver = SyncDriver(BASE_URL, TIMEOUT, httpx.Client(transport=httpx.MockTransport(feed)))
        known = Revocations(driver, basic_credential("res_1", "rs_1"), LEASE, TIMEOUT)
        known.ask()
        assert is_current(known)
        monkeypatch.setattr(time, "clock_gettime", {7: 1000.0 + LEASE}.__getitem__)
        assert not is_current(known)

    def test_it_counts_from_when_the_answer_was_asked_for(self):
        clock, feed = Clock(), Feed(said(next=1))
        known = revocations(feed, clock)
        # The network delays the answer by almost the whole lease.
        feed.before = lambda: setattr(clock, "now", clock.now + LEASE - 1)
        known.ask()
        assert is_current(known)
        clock.now += 1
        assert not is_current(known)

    @pytest.mark.parametrize(
        "failure",
        [
            httpx.ConnectError("cut off"),
            httpx.ReadTimeout("slow"),
            httpx.Response(200, content=b"{"),
            httpx.Response(200, json={"items": [{"kind": "family"}], "next": 0}),
            httpx.Response(
                200, json={"items": [{"kind": "family", "at": "2026-01-01T00:00:00Z"}], "next": 0}
            ),
            httpx.Response(500),
            problem(401, "not_authenticated"),
            problem(429, "throttled", {"Retry-After": "9999"}),
        ],
        ids=repr,
    )
    def test_failures_change_nothing_until_it_ends_and_then_all_is_refused(self, failure):
        clock, feed = Clock(), Feed(said(next=1), *[failure] * 9, said(next=1))
        known = revocations(feed, clock)
        known.ask()
        asked_at = clock.now
        for _ in range(9):
            pause = known.ask()
            assert 0 < pause <= LEASE / 3
            clock.now += pause
            assert is_current(known) == (clock.now - asked_at < LEASE)
        clock.now = asked_at + LEASE
        assert not is_current(known)
        known.ask()
        assert is_current(known)

    @pytest.mark.parametrize(
        "refusal",
        [problem(503, "everything_stopped", {"Retry-After": "60"}), problem(403, "organization_suspended")],
        ids=["everything", "organization"],
    )
    def test_a_stop_refuses_all_at_once_until_it_is_lifted(self, refusal):
        clock, feed = Clock(), Feed(said(), refusal, httpx.ConnectError("cut off"), said())
        known = revocations(feed, clock)
        states = []
        for _ in range(4):
            assert known.ask() <= LEASE / 6
            states.append(is_current(known))
        assert states == [True, False, False, True]

    def test_an_incomplete_answer_does_not_count(self):
        clock = Clock()
        feed = Feed(said(item("user"), next=5, more=True), said(item("agent"), next=9))
        known = revocations(feed, clock)
        assert known.ask() == 0
        assert not known._answered.is_set()
        known.ask()
        assert is_current(known)
        assert len(known.ended) == 2
        assert feed.asked == [{}, {"after": "5"}]

    def test_it_waits_for_news_once_it_has_an_answer_and_never_beyond_the_lease(self):
        clock, feed = Clock(), Feed(*[said(next=7)] * 4)
        known = revocations(feed, clock)
        assert known.ask() > 0
        feed.before = lambda: setattr(clock, "now", clock.now + 10)
        assert known.ask() == 0
        clock.now += 6
        feed.before = lambda: None
        known.ask()
        assert known.ask() > 0, "it does not ask again and again when it is answered at once"
        assert feed.asked == [{}, {"after": "7", "wait": "10"}, {"after": "7"}, {"after": "7", "wait": "10"}]

    def test_after_a_restore_it_continues_from_the_earlier_place(self):
        feed = Feed(said(next=900), said(next=5), said(next=6))
        known = revocations(feed)
        for _ in range(3):
            known.ask()
        assert [one.get("after") for one in feed.asked] == [None, "900", "5"]

    def test_after_a_failure_it_begins_again_because_a_restored_log_may_have_grown_beyond_its_place(self):
        feed = Feed(said(next=900), httpx.ConnectError("cut off"), said(item("agent"), next=950))
        known = revocations(feed)
        for _ in range(3):
            known.ask()
        assert [one.get("after") for one in feed.asked] == [None, "900", None]


class Gate(Keys):
    """Publishes keys, and says what `items` are."""

    def __init__(self) -> None:
        super().__init__(public_jwk(KEY))
        self.items: list[dict[str, Any]] = []
        self.polls: list[int] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/revocations":
            self.polls.append(os.getpid())
            return httpx.Response(200, json=said(*self.items))
        return self(request)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def guard(gate: Gate) -> Iterator[Guard]:
    guard = gate.guard()
    yield guard
    guard.close()


def now() -> float:
    return datetime.now(timezone.utc).timestamp()


class TestTheGuard:
    def test_the_first_check_has_the_first_answer(self, gate, guard):
        gate.items = [item("family", now())]
        outcome = guard.check([f"Bearer {token(sid='fam_1')}"], QUESTION)
        assert isinstance(outcome, Refusal)
        assert (outcome.status, outcome.body["reason"]) == (401, "token_revoked")
        assert isinstance(guard.check([f"Bearer {token(sid='fam_2')}"], QUESTION), Decision)

    async def test_tasks_use_the_same_thread(self, gate, guard):
        gate.items = [item("consent", now())]
        async_http = httpx.AsyncClient(transport=httpx.MockTransport(gate.answer))
        guard._async_http_client = async_http
        outcome = await guard.acheck([f"Bearer {token()}"], QUESTION)
        assert isinstance(outcome, Refusal)
        assert outcome.body["reason"] == "consent_revoked"
        threads = [one._thread for one in guard._source._revocations.values()]
        assert len(threads) == 1

    def test_a_removed_scope_is_missing(self, gate, guard):
        gate.items = [item("scope", now(), consentId="cns_1", scopes=["email:send"])]
        outcome = guard.check([f"Bearer {token()}"], QUESTION)
        assert isinstance(outcome, Refusal)
        assert (outcome.status, outcome.body["missingScopes"]) == (403, ["email:send"])

    def test_a_token_issued_while_the_agent_is_paused_is_refused(self, guard):
        outcome = guard.check([f"Bearer {token(paused=True)}"], QUESTION)
        assert isinstance(outcome, Refusal)
        assert (outcome.status, outcome.body["reason"]) == (403, "consent_paused")

    def test_without_an_answer_it_refuses(self, gate):
        def answer(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/api/v1/revocations":
                raise httpx.ConnectError("cut off")
            return gate(request)

        http = httpx.Client(transport=httpx.MockTransport(answer))
        guard = Guard(
            BASE_URL,
            "res_1",
            "rs_1",
            mode="offline",
            audience=AUDIENCE,
            http_client=http,
            retry=RetryPolicy(attempts=1),
        )
        outcome = guard.check([f"Bearer {token()}"], QUESTION)
        guard.close()
        assert isinstance(outcome, Refusal) and outcome.status == 503

    def test_a_process_asks_for_itself_after_a_fork(self, gate, guard, monkeypatch):
        assert isinstance(guard.check([f"Bearer {token()}"], QUESTION), Decision)
        before = dict(guard._source._revocations)
        child = os.getpid() + 1
        monkeypatch.setattr(os, "getpid", lambda: child)
        gate.items = [item("family", now())]
        outcome = guard.check([f"Bearer {token(sid='fam_1')}"], QUESTION)
        assert isinstance(outcome, Refusal)
        assert guard._source._revocations[child] not in before.values()

    def test_its_thread_ends_with_it(self, gate):
        guard = gate.guard()
        guard.check([f"Bearer {token()}"], QUESTION)
        (known,) = guard._source._revocations.values()
        thread = known._thread
        del guard
        assert thread is not None
        thread.join(5)
        assert not thread.is_alive()

    @pytest.mark.parametrize("lease", [0, 2.9, -1])
    def test_a_lease_is_long_enough_to_be_renewed(self, lease):
        with pytest.raises(ValueError, match="lease_seconds"):
            Guard(BASE_URL, "res_1", "rs_1", mode="offline", audience=AUDIENCE, lease_seconds=lease)
