"""The evidence of work that was handed on, from real calls: it holds for each of its readers."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from agents.models import Agent
from audit.proof import exports
from audit.sequencing.sequencer import sequence
from audit.signing.log_keys import signer
from consent.connections import Choice
from consent.granting import Granted, approve_consent
from consent.narrowing import Narrowing, narrow_consent
from core import clock
from core.money import Amount
from developers.models import Organization
from limits.reservations import commit_reservation, void_reservation
from tests.api.conftest import Api, Json, new_agent, verify
from tests.api.test_evidence import body_of
from tests.verifier import ED25519, Summary, main, parse_key, verify_export
from tests.world import ANONYMOUS, as_user, ask, hand_over
from tokens.delegations import end_delegation
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens
from tokens.models import Delegation

SCOPES = ["email:read", "email:send", "agents:delegate"]
BUDGET = {"type": "spend_limit", "config": {"maxAmount": "10.00", "currency": "EUR", "windowSeconds": 3600}}
RATE = {"type": "rate_limit", "config": {"maxRequests": 6, "windowSeconds": 3600, "scope": "per_user"}}
LIMITS = {"email:send": [{**BUDGET, "config": {**BUDGET["config"], "scope": "per_user"}}, RATE]}


@pytest.fixture(autouse=True)
def _sequenced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "pause", lambda seconds: sequence())


def row_of(agent: Json) -> Agent:
    return Agent.objects.get(pk=agent["id"])


def approve(agent: Agent, user: User, **choice: Any) -> Granted:
    consent = ask(agent, scopes=SCOPES)
    return approve_consent(
        actor=as_user(user), consent=consent, user=user, choice=Choice(**choice), signed_in_at=clock.now()
    )


def pay(token: str, value: str, **more: Any) -> Json:
    return verify(token, "email:send", context={"amount": {"value": value, "currency": "EUR"}}, **more)


@pytest.fixture
def user(ada: Any) -> User:
    return User.objects.get(pk=ada.id)


@pytest.fixture
def orchestrator(developer: Api) -> Agent:
    return row_of(new_agent(developer, allowedScopes=SCOPES))


@pytest.fixture
def root(orchestrator: Agent, user: User) -> str:
    """Return the token of an agent whose user lets it hand work to agents of verified developers."""
    granted = approve(orchestrator, user, delegation="verified")
    issued = exchange_code(actor=ANONYMOUS, agent=orchestrator, code=granted.code)
    assert isinstance(issued, IssuedTokens)
    return issued.access_token


@pytest.fixture
def branch(root: str, developer: Api, rival: Api) -> tuple[Delegation, Delegation, str, str]:
    """Return a delegation to an agent of the same organization, and below it one to another's, with their tokens."""
    own, foreign = (new_agent(each, allowedScopes=SCOPES[:2]) for each in (developer, rival))
    Organization.objects.filter(pk=row_of(foreign).organization_id).update(is_verified=True)
    first, worker = hand_over(root, row_of(own), ["email:read", "email:send"], limits=LIMITS, task="Plan the week")
    second, helper = hand_over(
        worker.access_token, row_of(foreign), ["email:send"], lifetime=timedelta(minutes=5), max_depth=2
    )
    return first, second, worker.access_token, helper.access_token


def check(folder: Path, answer: Any) -> Summary:
    path = folder / "export.jsonl"
    path.write_bytes(body_of(answer))
    return verify_export(path, parse_key(signer().verifier_key, ED25519))


def test_the_tree_of_real_calls_holds_for_all_its_readers(
    developer: Api, rival: Api, ada: Any, branch: Any, root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, worker, helper = branch
    assert pay(helper, "4.00")["allowed"]
    held = pay(worker, "3.00", reserve=True)
    given_up = pay(helper, "3.00", reserve=True)
    assert pay(helper, "0.01")["policy"]["id"] == first.id
    commit_reservation(
        actor=ANONYMOUS, reservation_id=held["reservationId"], final_amount=Amount("2.50", "EUR"), server_id=None
    )
    void_reservation(actor=ANONYMOUS, reservation_id=given_up["reservationId"], server_id=None)
    last = pay(helper, "3.50")
    assert last["allowed"]
    assert not pay(worker, "0.01")["allowed"]
    assert verify(root)["allowed"]

    person = check(tmp_path, ada.get("/users/me/audit-export")).delegations
    assert (len(person.known), person.sums, person.calls, person.outside) == (2, 2, 4, 0)
    assert (person.hidden_limits, person.hidden_amounts) == (0, 0)
    whole = person.known[first.id].sums
    assert [(str(each), each.delegation) for each in whole] == [
        ("10.00 EUR per 3600 seconds, email:send", first.id),
        ("6 calls per 3600 seconds, email:send", first.id),
    ]
    command = ["lineage", str(tmp_path / "export.jsonl"), "--key", signer().verifier_key, "--json"]
    assert main([*command, "--entry", last["auditId"]]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [link["delegationId"] for link in told["chain"]] == [None, first.id, second.id]
    assert told["chain"][1]["delegation"]["limits"] == LIMITS
    assert told["consent"]["scopes"] == sorted(SCOPES)

    consent_id = Delegation.objects.get(pk=first.id).consent_id
    connection = check(tmp_path, ada.get(f"/users/me/consents/{consent_id}/evidence")).delegations
    assert (len(connection.known), connection.sums, connection.calls) == (2, 2, 4)

    giving = check(tmp_path, developer.get("/audit/export")).delegations
    assert (len(giving.known), giving.hidden_limits, giving.calls, giving.outside) == (2, 1, 4, 0)
    receiving = check(tmp_path, rival.get("/audit/export")).delegations
    assert (len(receiving.known), receiving.hidden_limits, receiving.calls, receiving.outside) == (1, 0, 3, 3)


def test_ends_and_changes_of_the_connection_hold(
    orchestrator: Agent, user: User, ada: Any, branch: Any, tmp_path: Path
) -> None:
    _, second, worker, helper = branch
    replacement = approve(orchestrator, user).consent
    assert verify(helper, "email:send", context={"amount": {"value": "1", "currency": "EUR"}})["allowed"]
    end_delegation(actor=as_user(user), delegation=second)
    assert pay(helper, "1.00")["reason"] == "delegation_ended"
    assert pay(worker, "1.00")["allowed"]
    narrow_consent(actor=as_user(user), user=user, consent=replacement, narrowing=Narrowing(delegation="none"))
    assert pay(worker, "1.00")["reason"] == "delegation_ended"

    person = check(tmp_path, ada.get("/users/me/audit-export")).delegations
    assert (len(person.known), person.calls, person.outside) == (2, 2, 0)
    connection = check(tmp_path, ada.get(f"/users/me/consents/{replacement.id}/evidence")).delegations
    assert (len(connection.known), connection.calls, connection.outside) == (0, 2, 2)
