"""Scopes that do not exist have no words in the index of the log, no rows in the roll-ups, and cost extra."""

import base64
from typing import Any

import pytest

from audit.models import Entry, Posting
from audit.sequencing import sequencer
from audit.sequencing.postings import ACTION, term
from audit.sequencing.sequencer import sequence
from insights.models import RollUp
from insights.services import count_log
from limits import quick_throttle
from tests.api.conftest import Api, Json, expect, new_agent, new_developer, problem, tokens_for, verify
from tests.audit.segments import shrink_segments
from tests.log import log_entry
from tokens.models import AccessToken

MADE_UP = [f"made:up{number}" for number in range(100)]
SERVICE = "https://mail.example"


def own(scope: str) -> Json:
    texts = {"title": "Read notes", "description": "Read your notes", "cannot": "Change them"}
    return {"id": scope, "riskLevel": "low", **texts}


def register(developer: Api, identifier: str, *scopes: Any) -> Json:
    body = {"name": "Mail", "identifier": identifier, "scopes": [*scopes]}
    return expect(201, developer.post("/resource-servers", body))


def basic(server: Json) -> str:
    return "Basic " + base64.b64encode(f"{server['id']}:{server['secret']}".encode()).decode()


def indexed(decision: Json) -> Any:
    return log_entry(decision["auditId"]).content["metadata"].get("indexedScopes")


def counted_scopes() -> set[str]:
    sequence()
    count_log()
    return set(RollUp.objects.filter(kind="scope").values_list("value", flat=True))


def test_made_up_scopes_are_counted_together(tokens: Json) -> None:
    decision = verify(tokens["accessToken"], requiredScopes=MADE_UP)
    assert decision["reason"] == "insufficient_scope"
    assert log_entry(decision["auditId"]).content["scopes"] == MADE_UP  # the entry says all that was asked
    assert indexed(decision) == []
    assert counted_scopes() == {"denied (other)"}


def test_made_up_scopes_have_no_postings(tokens: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    verify(tokens["accessToken"], requiredScopes=[*MADE_UP[:50], "email:read"])
    verify(tokens["accessToken"], requiredScopes=["email:read", "payments:read", *MADE_UP[:50]])
    sequence()
    sequencer.forget()
    shrink_segments(monkeypatch, Entry.objects.count() + 1)
    verify(tokens["accessToken"], requiredScopes=["email:read"])
    sequence()
    words = {word: term(ACTION, word) for word in ("email:read", "payments:read", "(other)", *MADE_UP)}
    stored = set(Posting.objects.values_list("term", flat=True))
    assert {word for word, one in words.items() if one in stored} == {"email:read", "payments:read", "(other)"}


def test_scopes_of_the_catalogue_and_of_the_two_organizations_keep_their_names(
    developer: Api, rival: Api, ada: Api
) -> None:
    ours = register(developer, "https://ours.example", "email:read", own("ours:read"))
    theirs = register(rival, "https://theirs.example", "email:read", own("theirs:read"))
    stranger = new_developer("stranger@example.com")
    register(stranger, "https://strange.example", own("strange:read"))
    agent = new_agent(developer, allowedScopes=["email:read"])
    token = tokens_for(agent, ada, requestedScopes=["email:read"], resource=theirs["identifier"])["accessToken"]
    asked = ["payments:read", "ours:read", "theirs:read", "strange:read", "made:up"]

    def ask(server: Json) -> Json:
        question = {"token": token, "requiredScopes": asked}
        return expect(200, Api(Authorization=basic(server)).post("/tokens/verify", question))

    assert indexed(ask(theirs)) == ["payments:read", "ours:read", "theirs:read"]
    assert indexed(ask(ours)) == ["payments:read", "ours:read"]
    assert "denied theirs:read" in counted_scopes()


def test_only_the_first_ten_scopes_of_a_request_have_names(tokens: Json) -> None:
    known = [f"{prefix}:read" for prefix in ("email", "calendar", "contacts", "files")]
    decision = verify(tokens["accessToken"], requiredScopes=["email:read", *MADE_UP[:9], *known[1:]])
    assert indexed(decision) == ["email:read"]


def test_an_ordinary_decision_lists_its_scopes_once(tokens: Json) -> None:
    assert indexed(verify(tokens["accessToken"], requiredScopes=["email:read", "email:read"])) is None
    assert indexed(verify(tokens["accessToken"], requiredScopes=["payments:read"])) is None


def test_scopes_of_a_token_that_was_deleted_are_indexed_likewise(tokens: Json) -> None:
    AccessToken.objects.all().delete()
    decision = verify(tokens["accessToken"], requiredScopes=["email:read", *MADE_UP[:5]])
    assert (decision["reason"], indexed(decision)) == ("token_revoked", ["email:read"])


def batch(token: str, scopes: int, headers: Json, number: int = 1) -> Any:
    question = {"token": token, "requiredScopes": MADE_UP[:scopes]}
    return Api(**headers).post("/tokens/verify/batch", {"requests": [question] * number})


def test_many_scopes_cost_a_service_extra(developer: Api, tokens: Json, settings: Any) -> None:
    settings.THROTTLE_VERIFY = "5/minute"
    server, other = register(developer, SERVICE, "email:read"), register(developer, "https://o.example", "email:read")
    sent = {"Authorization": basic(server)}
    expect(200, batch(tokens["accessToken"], 1, sent))
    for _ in range(5):
        expect(200, batch(tokens["accessToken"], 100, sent))  # 9 of the 50 each
    problem(batch(tokens["accessToken"], 100, sent), 429, "throttled")
    expect(200, batch(tokens["accessToken"], 10, sent, number=100))  # usual ones cost nothing extra
    expect(200, batch(tokens["accessToken"], 100, {"Authorization": basic(other)}))


def test_a_wrong_secret_uses_up_nothing_of_the_service(developer: Api, tokens: Json, settings: Any) -> None:
    settings.THROTTLE_VERIFY = "1/minute"
    server = register(developer, SERVICE, "email:read")
    expect(200, batch(tokens["accessToken"], 1, {"Authorization": basic(server)}))
    for _ in range(3):
        answer = batch(tokens["accessToken"], 100, {"Authorization": basic({**server, "secret": "rs_wrong"})})
        assert answer.status_code in (401, 429)
    expect(200, batch(tokens["accessToken"], 100, {"Authorization": basic(server)}))


def test_wrong_secrets_take_no_place_in_the_throttle(developer: Api, tokens: Json, settings: Any) -> None:
    """There can be any number. Before the secret is known to be right, its extra cost counts by address."""
    settings.THROTTLE_VERIFY, settings.REDIS_URL = "5/minute", ""
    server = register(developer, SERVICE, "email:read")
    answers = [
        batch(tokens["accessToken"], 100, {"Authorization": basic({**server, "secret": f"rs_{number}"})}).status_code
        for number in range(8)
    ]
    assert answers == [401] * 5 + [429] * 3
    (memory,) = [kept for (name, _), kept in quick_throttle._memories.items() if name == "verify"]
    assert {name for counts in memory.slices.values() for name in counts} == {"unproved:address:127.0.0.1"}


def test_many_scopes_cost_an_anonymous_caller_more(tokens: Json, settings: Any) -> None:
    settings.THROTTLE_VERIFY = "12/minute"
    expect(200, batch(tokens["accessToken"], 100, {}))
    problem(batch(tokens["accessToken"], 21, {}), 429, "throttled")
    expect(200, batch(tokens["accessToken"], 20, {}))
