"""Approvals, reservations and simulations of the SDK against a running server."""

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from agentgate_oauth import (
    AgentGateAdmin,
    AgentGateClient,
    AgentGateVerifier,
    AsyncAgentGateClient,
    ReservationDeniedError,
    Session,
    rules,
)
from agentgate_oauth.errors import ConflictError, InvalidRequestError
from agentgate_oauth.models import NewResourceServer
from service_processes import Service

from tests.live.gate import Agent, Gate, Person, expect
from tests.sdk.cutting_proxy import cutting_proxy

MINUTE = timedelta(minutes=1)
MAIL = {"recipient": "ada@example.com"}
CHARGE = {"amount": {"value": "80.00", "currency": "EUR"}}


class Careful:
    """A person who wants to be asked about each mail."""

    def __init__(self, gate: Gate, person: Person, agent: Agent) -> None:
        self.gate, self.person, self.agent = gate, person, agent

    def code(self) -> str:
        return self.gate.approve(
            self.gate.initiate(self.agent, ("email:send",)), self.person, modes={"email:send": "ask"}
        )

    def token(self) -> str:
        return str(expect(200, self.gate.exchange(self.agent, self.code()))["accessToken"])

    def pending(self) -> list[str]:
        found = expect(200, self.gate.get("/approvals?status=pending", **self.person.headers))
        return [one["id"] for one in found["items"]]

    def decide(self, act: str) -> None:
        """Approve or deny what is asked, once it is."""
        deadline = time.monotonic() + 20
        while not (found := self.pending()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for approval_id in found:
            expect(200, self.gate.post(f"/approvals/{approval_id}/{act}", **self.person.headers))

    def decide_later(self, act: str) -> threading.Thread:
        thread = threading.Thread(target=self.decide, args=[act])
        thread.start()
        return thread


@pytest.fixture
def careful(gate: Gate, person: Person, agent: Agent) -> Careful:
    return Careful(gate, person, agent)


@pytest.fixture
def session(client: AgentGateClient, careful: Careful) -> Session:
    return client.create_session(careful.code())


@pytest.fixture
def verifier(gate: Gate, mail_service: NewResourceServer) -> Iterator[AgentGateVerifier]:
    with AgentGateVerifier(gate.url, mail_service.id, mail_service.secret) as verifier:
        yield verifier


def test_a_session_waits_for_the_user_and_acts_once(session: Session, careful: Careful):
    deciding = careful.decide_later("approve")
    decision = session.verify(["email:send"], context=MAIL, wait_for_approval=MINUTE)
    deciding.join()
    assert decision.allowed
    again = session.verify(["email:send"], context=MAIL)
    assert (again.reason, again.approval_status) == ("approval_required", "pending")
    assert again.approval_id is not None
    assert session.get_approval(again.approval_id).status == "pending"
    assert again.approval_url == f"{careful.gate.url}/approvals/{again.approval_id}"


def test_a_session_is_told_of_a_denial(session: Session, careful: Careful):
    deciding = careful.decide_later("deny")
    decision = session.verify(["email:send"], context=MAIL, wait_for_approval=MINUTE)
    deciding.join()
    assert (decision.allowed, decision.reason, decision.approval_status) == (False, "approval_required", "denied")
    again = session.verify(["email:send"], context=MAIL)
    assert (again.approval_id, again.approval_status) == (decision.approval_id, "denied")


def test_the_waiting_ends_in_time(session: Session):
    began = time.monotonic()
    decision = session.verify(["email:send"], context=MAIL, wait_for_approval=timedelta(seconds=2))
    assert decision.approval_status == "pending"
    assert 1.5 < time.monotonic() - began < 10


async def test_a_hundred_tasks_wait_at_once_and_each_is_answered(gate: Gate, careful: Careful):
    """Approvals of one agent are bounded, so all but a few tasks wait for the same one."""
    async with AsyncAgentGateClient(gate.url, careful.agent.client_id, careful.agent.client_secret) as client:
        session = await client.create_session(careful.code())
        waiting = [
            asyncio.create_task(session.verify(["email:send"], context=MAIL, wait_for_approval=MINUTE))
            for _ in range(10)
        ]
        await asyncio.to_thread(careful.decide, "approve")
        decisions = await asyncio.gather(*waiting)
    assert [decision.allowed for decision in decisions].count(True) == 1


def test_a_service_waits_with_its_own_credential(verifier: AgentGateVerifier, careful: Careful):
    token = careful.token()
    deciding = careful.decide_later("approve")
    decision = verifier.verify(token, ["email:send"], context=MAIL, wait_for_approval=MINUTE)
    deciding.join()
    assert decision.allowed


def test_a_service_gets_what_each_rule_said(
    verifier: AgentGateVerifier, admin: AgentGateAdmin, gate: Gate, agent: Agent, person: Person
):
    policy = admin.create_policy(
        name="Within the company",
        agent_id=agent.id,
        rules=[rules.context_match(rules.condition("recipient", "ends_with", "@example.com"), actions=["email:send"])],
    )
    token = gate.tokens(agent, person)["accessToken"]
    decision = verifier.verify(token, ["email:send"], context={"recipient": "eve@example.org"}, explain=True)
    assert decision.reason == "policy_denied"
    assert decision.trace is not None
    (rule,) = [rule for rule in decision.trace if rule.policy and rule.policy.id == policy.id]
    assert (rule.rule_type, rule.outcome) == ("context_match", "denied")
    assert verifier.verify(token, ["email:send"], context=MAIL).trace is None


# Guards


def test_a_guarded_service_says_where_the_user_approves(service: Service, careful: Careful):
    token = careful.token()
    outcome = service.send(token)
    assert (outcome.status, outcome.body["code"]) == (403, "approval_required")
    approval_id = outcome.body["approvalId"]
    assert outcome.body["approvalUrl"] == f"{careful.gate.url}/approvals/{approval_id}"
    assert outcome.body["approvalUrl"] in outcome.body["detail"]
    careful.decide("approve")
    assert service.send(token).status == 200


@pytest.mark.parametrize("service", ["fastmcp"], indirect=True)
@pytest.mark.parametrize("act", ["approve", "deny"])
async def test_an_mcp_client_shows_the_page_and_the_call_goes_on(service: Service, careful: Careful, act: str):
    from fastmcp import Client  # takes a second, in each process that collects the tests
    from fastmcp.client.elicitation import ElicitResult
    from fastmcp.exceptions import ToolError

    shown: list[Any] = []

    async def open_url(message: str, response_type: Any, params: Any, context: Any) -> Any:
        shown.append(params.url)
        await asyncio.to_thread(careful.decide, act)
        return ElicitResult(action="accept")

    async with Client(f"{service.url}/mcp", auth=careful.token(), elicitation_handler=open_url) as client:
        if act == "approve":
            sent = await client.call_tool("send", {"recipient": "a@example.com"})
            assert sent.data["userId"] == careful.person.id
        else:
            with pytest.raises(ToolError, match="approval_required"):
                await client.call_tool("send", {"recipient": "a@example.com"})
    (url,) = shown
    assert url.startswith(f"{careful.gate.url}/approvals/apr_")


# Reservations


@pytest.fixture
def budget(admin: AgentGateAdmin, agent: Agent) -> None:
    limit = rules.spend_limit(max_amount="100.00", currency="EUR", window_seconds=86400, scope="per_agent")
    admin.create_policy(name="100 euros a day", agent_id=agent.id, rules=[limit])


@pytest.fixture
def spender(budget: None, client: AgentGateClient, gate: Gate, agent: Agent, person: Person) -> Session:
    return client.create_session(gate.code(agent, person))


def test_a_reservation_counts_until_it_is_resolved(spender: Session):
    with spender.reserve(["email:send"], context=CHARGE) as reservation:
        with (
            pytest.raises(ReservationDeniedError, match="policy_denied"),
            spender.reserve(["email:send"], context=CHARGE),
        ):
            pytest.fail("the budget was exceeded")
        done = reservation.commit(Decimal("10.50"))
    assert (done.status, done.amount, done.final_amount, done.currency) == ("committed", "80.00", "10.50", "EUR")
    with spender.reserve(["email:send"], context=CHARGE) as second:
        pass
    with spender.reserve(["email:send"], context=CHARGE) as third:
        third.commit()
    assert len({reservation.id, second.id, third.id}) == 3
    assert not spender.verify(["email:send"], context={"amount": {"value": "10.00", "currency": "EUR"}}).allowed


def test_a_lost_response_reserves_once(budget: None, gate: Gate, agent: Agent, person: Person):
    with cutting_proxy(gate.url, "/tokens/verify", times=2) as proxy:
        client = AgentGateClient(proxy.url, agent.client_id, agent.client_secret)
        with client.create_session(gate.code(agent, person)).reserve(["email:send"], context=CHARGE) as reservation:
            assert proxy.cuts == 2
            assert reservation.commit().final_amount == "80.00"


def test_a_commit_above_the_reserved_amount_is_refused(spender: Session):
    with spender.reserve(["email:send"], context=CHARGE, expires_in=MINUTE) as reservation:
        expires_at = reservation.decision.reservation_expires_at
        assert expires_at is not None
        with pytest.raises((InvalidRequestError, ConflictError)):
            reservation.commit("80.01")
        assert reservation.commit("80.00").final_amount == "80.00"
        with pytest.raises(ConflictError):
            reservation.void()


def test_a_service_reserves(budget: None, verifier: AgentGateVerifier, gate: Gate, agent: Agent, person: Person):
    token = gate.tokens(agent, person)["accessToken"]
    with pytest.raises(KeyError), verifier.reserve(token, ["email:send"], context=CHARGE):
        raise KeyError("the shop is closed")
    with verifier.reserve(token, ["email:send"], context=CHARGE) as reservation:
        assert reservation.commit().final_amount == "80.00"


async def test_asynchronous_reservations(budget: None, gate: Gate, agent: Agent, person: Person):
    async with AsyncAgentGateClient(gate.url, agent.client_id, agent.client_secret) as client:
        session = await client.create_session(gate.code(agent, person))
        async with session.reserve(["email:send"], context=CHARGE):
            pass
        async with session.reserve(["email:send"], context=CHARGE) as reservation:
            assert (await reservation.commit("80.00")).status == "committed"


# Simulations


def test_a_draft_is_simulated_and_replayed(admin: AgentGateAdmin, gate: Gate, agent: Agent, person: Person):
    token = gate.tokens(agent, person)["accessToken"]
    for _ in range(3):
        assert gate.verify(token, "email:send", context=MAIL)["allowed"]
    draft = {"agent_id": agent.id, "rules": [rules.rate_limit(max_requests=1, window_seconds=3600)]}
    request = {"agent_id": agent.id, "user_id": person.id, "required_scopes": ["email:send"], "context": MAIL}
    allowed = admin.simulate(policy=draft, request=request)
    assert (allowed.outcome, allowed.trace[0].rule_type) == ("passed", "rate_limit")
    blocking = {"rules": [rules.action_blocklist("email:*")]}
    assert admin.simulate(policy=blocking, request=request).outcome == "denied"

    deadline = time.monotonic() + 30
    while (replay := admin.replay(policy=draft, days=1)).newly_denied < 2 and time.monotonic() < deadline:
        time.sleep(1)
    (change,) = [change for change in replay.changes if change.agent_id == agent.id]
    assert (change.rule_type, change.newly_denied, change.newly_allowed) == ("rate_limit", 2, 0)


def test_every_rule_that_the_sdk_makes_is_accepted(admin: AgentGateAdmin, agent: Agent):
    only = ["email:send", "payments:*"]
    made = [
        rules.rate_limit(max_requests=1, window_seconds=60, actions=only),
        rules.spend_limit(max_amount=Decimal(100), currency="EUR", window_seconds=60, actions=only),
        rules.time_window(allowed_days=[1], start_time="09:00", end_time="17:00", actions=only),
        rules.action_allowlist("email:send"),
        rules.action_blocklist("payments:charge"),
        rules.ip_allowlist("10.0.0.0/8", actions=only),
        rules.context_match(
            rules.condition("recipient", "ends_with", "@example.com"),
            rules.condition("amount.value", "at_most", Decimal("50.00")),
            rules.condition("amount.currency", "in", ["EUR", "USD"]),
            rules.condition("task", "exists"),
            rules.condition("cc", "exists", False),
            actions=only,
        ),
        rules.data_flow(window_seconds=3600, then="deny", actions=only),
        rules.cedar("permit (principal, action, resource);", actions=only),
    ]
    policy = admin.create_policy(name="Everything", agent_id=agent.id, rules=made, enabled=False)
    assert [rule.type for rule in policy.rules] == [rule.type for rule in made]
