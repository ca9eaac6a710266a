"""Receipts are the same in the event loop and by Django's view, except for the id of the log entry."""

from collections.abc import Callable
from typing import Any

import jwt
import pytest

from audit.signing import log_keys
from core.crypto import SealBroken
from tests.semantics.both import DJANGO, EVENT_LOOP, Both, Sent, ask_django
from tests.semantics.requests import UNKNOWN, Scene, basic, batch, question, verify


def receipts_of(both: Both, sent: Sent, *, by: str = EVENT_LOOP) -> list[Any]:
    """Return the payloads of Django's receipts, after checking that the front's are the same."""
    of_django = payloads(ask_django(sent).json)
    answer, who = both.front.ask(sent)
    assert who == by
    assert payloads(answer.json) == of_django
    return of_django


def payloads(body: Any) -> list[Any]:
    decisions = body.get("decisions", [body])
    found = [jwt.decode(one["receipt"], options={"verify_signature": False}) for one in decisions if "receipt" in one]
    assert [one.pop("auditId") for one in found] == [one["auditId"] for one in decisions if "receipt" in one]
    return found


@pytest.mark.parametrize("scope", ["email:read", "email:send"])
def test_of_a_decision(both: Both, scene: Scene, scope: str) -> None:
    for caller in ("", basic(scene.own)):
        more = {"action": "read", "resource": "inbox", "context": {"ip": "2001:DB8::1", "x": 1.5}}
        (receipt,) = receipts_of(both, verify(scene.token, scope, caller=caller, receipt=True, **more))
        assert receipt["decision"]["allowed"] is (scope == "email:read")


def test_of_a_batch(both: Both, scene: Scene) -> None:
    asked = [question(scene.token, receipt=True), question(UNKNOWN, receipt=True), question(scene.token)]
    assert len(receipts_of(both, batch(*asked))) == 1
    assert len(receipts_of(both, batch(*asked[:1] * 10))) == 10
    assert len(receipts_of(both, batch(*asked[:1] * 11), by=DJANGO)) == 11


def test_django_answers_until_the_key_is_loaded(
    start: Callable[[], Both], scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise SealBroken

    with monkeypatch.context() as patch:
        patch.setattr(log_keys, "load", fail)
        both = start()
    log_keys.forget()
    sent = verify(scene.token, receipt=True)
    answer, who = both.front.ask(sent)
    assert (who, len(payloads(answer.json))) == (DJANGO, 1)
    assert len(receipts_of(both, sent)) == 1
