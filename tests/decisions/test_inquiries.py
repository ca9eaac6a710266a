"""What an inquiry needs, in order, and that a thread meets each need. `tests/server/hot/` tests the event loop."""

from collections.abc import Sequence
from typing import Any

import pytest

from core.errors import DomainError, NotAuthenticated, Throttled, Unavailable
from core.messages import Reply
from core.secrets import digest
from decisions import inquiries
from decisions.inquiries import CountFailure, Decide, Inquiry, Need, ReadNewerKeys, Throttle, answer, inquire
from decisions.requests import CALLER_REFUSED, UNKNOWN_TOKEN, Credential, Decision, VerifyRequest
from tests.samples import sample
from tests.world import ANONYMOUS, Grant, make_grant
from tokens import keys

ALLOWED = Decision(allowed=True)
CREDENTIAL = Credential("res_a", digest("rs_a"))
VISITOR = ANONYMOUS._replace(ip="192.0.2.1")


def ask(*tokens: str, credential: Credential | None = None, scopes: int = 1) -> Inquiry:
    """Return an inquiry whose reply has the decisions as its text."""
    required = [f"many:b{number}" for number in range(scopes)]
    requests = [VerifyRequest(token, required, VISITOR, credential) for token in tokens]
    return Inquiry(requests, lambda decisions: Reply(200, (), ",".join(map(word, decisions)).encode()))


def word(decision: Decision) -> str:
    return "allowed" if decision.allowed else decision.reason or ""


def play(inquiry: Inquiry, *answers: Any) -> tuple[list[Need], Reply | DomainError]:
    """Answer the needs of an inquiry in order. Return them, and how it ended."""
    inquiring, needs = inquire(inquiry), []
    try:
        needs.append(next(inquiring))
        for each in answers:
            needs.append(inquiring.send(each))
    except StopIteration as end:
        return needs, end.value
    except DomainError as error:
        return needs, error
    raise AssertionError(f"{needs} and more answers are needed")


@pytest.fixture
def grant(db: None) -> Grant:
    return make_grant(scopes=["email:read"])


class TestNeeds:
    def test_an_anonymous_caller_is_throttled_before_anything_is_read(self, grant: Grant) -> None:
        needs, reply = play(ask(grant.access_token, "no"), None, [ALLOWED])
        assert [type(need) for need in needs] == [Throttle, Decide]
        assert needs[0].hit.number == 2
        assert len(needs[1].questions) == 1
        assert reply.body == b"allowed,invalid_token"

    def test_a_forged_token_needs_no_decision_and_is_counted_in_the_metrics(self, db: None) -> None:
        before = sample("agentgate_decisions_total", outcome="denied", reason="invalid_token")
        needs, reply = play(ask("no", "neither"), None)
        assert [type(need) for need in needs] == [Throttle]
        assert reply.body == b"invalid_token,invalid_token"
        assert sample("agentgate_decisions_total", outcome="denied", reason="invalid_token") == before + 2

    def test_a_service_is_throttled_only_if_it_asks_for_much(self, grant: Grant) -> None:
        needs, _ = play(ask(grant.access_token, credential=CREDENTIAL), [ALLOWED])
        assert [type(need) for need in needs] == [Decide]
        needs, _ = play(ask(grant.access_token, credential=CREDENTIAL, scopes=11), None, [ALLOWED])
        assert [type(need) for need in needs] == [Throttle, Decide]
        assert needs[0].hit.number == 1

    def test_the_credential_of_a_forged_token_is_checked(self, db: None) -> None:
        needs, reply = play(ask("no", credential=CREDENTIAL), [UNKNOWN_TOKEN])
        assert [type(need) for need in needs] == [Decide]
        assert reply.body == b"invalid_token"

    def test_an_unknown_key_is_read_once(self, grant: Grant) -> None:
        keys.forget()
        inquiring = inquire(ask(grant.access_token, credential=CREDENTIAL))
        assert isinstance(next(inquiring), ReadNewerKeys)
        keys.load_newer_keys()
        (question,) = inquiring.send(None).questions
        assert question.claims

    def test_a_wrong_credential_is_counted_before_it_is_refused(self, grant: Grant) -> None:
        asked = ask(grant.access_token, credential=CREDENTIAL)
        needs, error = play(asked, [CALLER_REFUSED], None)
        assert [type(need) for need in needs] == [Decide, CountFailure]
        assert needs[1].hit == asked.failure
        assert isinstance(error, NotAuthenticated)

    def test_the_problem_of_a_repeated_request_is_the_answer(self, grant: Grant) -> None:
        problem = Unavailable("Try again.")
        needs, error = play(
            ask(grant.access_token, grant.access_token, credential=CREDENTIAL),
            [ALLOWED, Decision(allowed=False, problem=problem)],
        )
        assert [type(need) for need in needs] == [Decide]
        assert error is problem


class TestInAThread:
    """Django's driver meets each need."""

    def test_it_decides_here_or_elsewhere(self, grant: Grant) -> None:
        asked = ask(grant.access_token)
        assert answer(asked).body == b"insufficient_scope"
        elsewhere: list[Sequence[Any]] = []
        assert answer(asked, lambda questions: [elsewhere.append(questions), [ALLOWED]][1]).body == b"allowed"
        assert len(elsewhere) == 1

    def test_it_throttles(self, grant: Grant, settings: Any) -> None:
        settings.THROTTLE_VERIFY = "1/hour"
        assert answer(ask("no")).status == 200
        with pytest.raises(Throttled):
            answer(ask("no"))

    def test_it_reads_newer_keys(self, grant: Grant) -> None:
        keys.forget()
        assert answer(ask(grant.access_token)).body == b"insufficient_scope"

    def test_it_counts_wrong_credentials(self, grant: Grant, settings: Any) -> None:
        settings.THROTTLE_CLIENT_AUTH = "1/hour"
        asked = ask(grant.access_token, credential=CREDENTIAL)
        with pytest.raises(NotAuthenticated):
            answer(asked)
        with pytest.raises(Throttled):
            answer(asked)

    def test_an_error_of_a_need_is_the_answer(self, grant: Grant, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(questions: object) -> list[Decision]:
            raise Unavailable("Try again.")

        monkeypatch.setattr(inquiries, "decide_questions", fail)
        with pytest.raises(Unavailable):
            answer(ask(grant.access_token))
