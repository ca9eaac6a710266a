"""Agents hand work on through the SDK and by the commands of the page, and the program of the page runs."""

import os
import re
import subprocess
import webbrowser
from datetime import timedelta
from typing import Any

import httpx
import pytest
from agentgate_oauth import AgentGateAdmin, AgentGateClient, Decision, Session, UnexpectedDelegationError
from agentgate_oauth.errors import InvalidGrantError
from agentgate_oauth.models import NewResourceServer
from agentgate_oauth.service import Guard, Requirement

from tests.demo.test_readme import blocks as blocks_of_readme
from tests.demo.test_readme import json_values
from tests.live.gate import Agent, Developer, Gate, Person, decoded, expect
from tests.live.oauth.services import blocks
from tests.live.server import ROOT
from tests.programs import find_program
from tests.sdk.test_readme import EXAMPLES

PAGE = "delegation.md"
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


def test_the_commands_of_the_page_run_in_order(gate: Gate):
    find_program("curl")
    script = "set -eu\n" + blocks_of_readme("sh", "The eight steps, with curl") + "\n".join(blocks(PAGE, "sh"))
    done = subprocess.run(
        ["sh", "-c", script],
        env={**os.environ, "AGENTGATE_URL": gate.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = json_values(done.stdout)
    decisions = [one for one in printed if "allowed" in one and "actor" in one]
    assert [(one["allowed"], one.get("reason")) for one in decisions] == [(True, None), (False, "delegation_ended")]
    assert set(decisions[0]) == set(json_values(blocks(PAGE, "json")[0])[0])
    (exchanged,) = [one for one in printed if "issued_token_type" in one]
    assert exchanged["scope"] == "email:read"
    listed = printed[-1]["items"]
    assert [one["status"] for one in listed] == ["active", "ended"]


def test_the_program_of_the_page_prints_what_the_page_says(
    gate: Gate,
    developer: Developer,
    person: Person,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    def allow(url: str) -> bool:
        approved = gate.post(f"/consent/{url.rsplit('/', 1)[1]}/approve", **person.headers)
        httpx.get(expect(200, approved)["redirectUrl"]).raise_for_status()
        return True

    monkeypatch.setattr(webbrowser, "open", allow)
    monkeypatch.setenv("AGENTGATE_URL", gate.url)
    monkeypatch.setenv("AGENTGATE_API_KEY", developer.api_key)
    (program,) = blocks(PAGE, "python")
    exec(compile(program, PAGE, "exec"), {"__name__": "__main__"})
    (said,) = re.findall(r"It prints:\n\n```\n(.*?)```", (ROOT / "docs" / PAGE).read_text(), re.DOTALL)
    assert capsys.readouterr().out == said
