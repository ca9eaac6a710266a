"""Agents hand work on through the SDK. `tests/live/test_guides.py` runs the commands and the program of the page."""

from datetime import timedelta
from typing import Any

import pytest
from agentgate_oauth import AgentGateAdmin, AgentGateClient, Decision, Session, UnexpectedDelegationError
from agentgate_oauth.errors import InvalidGrantError
from agentgate_oauth.models import NewResourceServer
from agentgate_oauth.service import Guard, Requirement

from tests.live.gate import Agent, Developer, Gate, Person, decoded
from tests.sdk.test_readme import EXAMPLES

SCOPES = ("email:read", "email:send")


def client_of(gate: Gate, agent: Agent) -> AgentGateClient:
    return AgentGateClient(gate.url, agent.client_id, agent.client_secret)


def guarded(gate: Gate, service: NewResourceServer, mode: Any, session: Session) -> Decision:
    """Return the decision of a guard of a service in the default audience."""
    audience = {"audience": gate.url, "organization_id": claims_of(session)["org_id"]} if mode == "offline" else {}
    guard = Guard(gate.url, service.id, service.secret, mode=mode, **audience)
    question = Requirement[None](("email:read",)).question(None, None)
    outcome = guard.check([f"Bearer {session.access_token()}"], question)
    guard.close()
    assert isinstance(outcome, Decision), mode
    return outcome


def claims_of(session: Session) -> dict[str, Any]:
    return decoded(session.access_token())[1]


@pytest.fixture
def session(gate: Gate, agent: Agent, person: Person, client: AgentGateClient) -> Session:
    """Return a session of an agent that may hand work on."""
    return client.create_session(gate.approve(gate.initiate(agent, SCOPES), person, delegation="developer"))


@pytest.fixture
def worker(gate: Gate, developer: Developer) -> Agent:
    return gate.agent(developer, ("email:read",))


def test_the_functions_of_the_readme_hand_over_and_accept(
    gate: Gate,
    session: Session,
    client: AgentGateClient,
    worker: Agent,
    person: Person,
    mail_service: NewResourceServer,
):
    (example,) = [one for one in EXAMPLES if "take_over" in one]
    names: dict[str, Any] = {"timedelta": timedelta}
    exec(compile(example, "README.md", "exec"), names)
    token = names["hand_over"](session, worker.client_id)
    with client_of(gate, worker) as own:
        accepted = names["take_over"](own, token, session.agent_id, person.id)
        decision = accepted.verify(["email:read"])
        assert decision.allowed
        assert [link.agent_id for link in decision.chain] == [session.agent_id, worker.id]
        assert decision.actor == decision.chain[-1]
        assert decision.actor.delegation_id == accepted.delegation_id
        for mode in ("verify", "introspect", "offline"):
            assert guarded(gate, mail_service, mode, accepted).chain[-1].delegation_id == accepted.delegation_id, mode
        assert accepted.verify(["email:send"]).reason == "insufficient_scope"
        object.__setattr__(accepted._renewal.record, "renew_after", 0.0)
        assert accepted.verify(["email:read"]).allowed, "with a refreshed token"
        assert client.end_delegation(accepted.delegation_id).status == "ended"
        assert accepted.verify(["email:read"]).reason == "delegation_ended"
        assert session.verify(["email:read"]).allowed


def test_work_from_another_agent_or_for_another_user_is_refused(
    gate: Gate, session: Session, worker: Agent, person: Person, admin: AgentGateAdmin
):
    with client_of(gate, worker) as own:
        own_id, other = session.agent_id, gate.person().id
        for expected in (
            {"expect_from": worker.id, "expect_user": person.id},
            {"expect_from": own_id, "expect_user": other},
        ):
            handed = session.delegate(to=worker.client_id, scopes=["email:read"])
            with pytest.raises(UnexpectedDelegationError) as caught:
                own.accept(handed.delegation_token, **expected)
            assert (caught.value.from_agent, caught.value.user_id) == (own_id, person.id)
            with pytest.raises(InvalidGrantError):
                own.accept(handed.delegation_token, expect_from=own_id, expect_user=person.id)
            (found,) = [one for one in admin.iter_delegations(agent_id=worker.id) if one.id == handed.id]
            assert found.status == "ended", "its tokens were revoked"
