"""Rules see a long `context` whole. The log keeps its digest, size and beginning."""

import hashlib
import json
from typing import Any

from accounts.models import User
from audit.entries.drafts import SHORTENED
from audit.models import Entry
from tests.api.conftest import Api, Json, expect, verify
from tests.log import log_entry, personal_data
from tests.passkeys import enter_password
from tests.shared import cases
from tests.web.ledger import words_of


def logged(tokens: Json, context: Json) -> Any:
    audit_id = verify(tokens["accessToken"], context=context)["auditId"]
    return personal_data(audit_id)


def canonical(context: Json) -> bytes:
    return json.dumps(context, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def context_of(size: int) -> Json:
    context = {"ip": "203.0.113.7", "text": ""}
    return {**context, "text": "x" * (size - len(canonical(context)))}


def test_a_context_of_4096_bytes_is_logged_whole(tokens: Json) -> None:
    context = context_of(4096)
    found = logged(tokens, context)
    assert found["context"] == context
    assert SHORTENED not in found


def test_a_longer_context_is_logged_as_digest_size_and_beginning(tokens: Json) -> None:
    context = context_of(4097)
    encoded = canonical(context)
    found = logged(tokens, context)
    assert found[SHORTENED] == {
        "size": 4097,
        "sha256": hashlib.sha256(encoded).hexdigest(),
        "beginning": encoded[:1024].decode(),
        "fields": ["ip", "text"],
        "named": {},
    }
    assert "context" not in found


def test_the_beginning_is_cut_between_characters(tokens: Json) -> None:
    assert logged(tokens, {"text": "é" * 4000})[SHORTENED]["beginning"] == '{"text":"' + "é" * 507


def test_the_longest_context_leaves_a_small_entry(tokens: Json) -> None:
    audit_id = verify(tokens["accessToken"], context={"text": "x" * 16_000})["auditId"]
    assert len(Entry.objects.get(pk=log_entry(audit_id).id).sealed) < 3000


def test_a_longer_context_keeps_the_texts_that_say_what_the_call_touches(tokens: Json) -> None:
    context = {"verb": "send", "recipient": "é" * 300, "target": {"id": 1}, "text": "x" * 5000}
    audit_id = verify(tokens["accessToken"], context=context)["auditId"]
    assert personal_data(audit_id)[SHORTENED]["named"] == {"verb": "send", "recipient": "é" * 200}


def test_many_long_names_of_fields_are_bounded(tokens: Json) -> None:
    context = {f"{number:03}{'é' * 100}": number for number in range(70)}
    fields = logged(tokens, context)[SHORTENED]["fields"]
    assert fields == [f"{number:03}{'é' * 37}" for number in range(20)]


@cases("beginning", ['{"text":"', {"a": 1}])
def test_no_context_looks_like_a_shortened_one(ada: Any, tokens: Json, beginning: Any) -> None:
    """Neither with the members that ours has, nor with one of its name."""
    browser = enter_password(User.objects.get(pk=ada.id).email)
    forged = {"truncated": True, "size": 9000, "sha256": "00" * 32, "beginning": beginning}
    for context in (forged, {**forged, "fields": [], "named": {}}, {SHORTENED: forged}):
        audit_id = verify(tokens["accessToken"], context=context)["auditId"]
        found = personal_data(audit_id)
        assert found["context"] == context
        assert SHORTENED not in found
        words = words_of(browser, f"/activity/{audit_id}")
        assert "only the beginning" not in words
        assert '"truncated": true' in words
    assert browser.post("/activity.csv").status_code == 200


def test_rules_see_the_whole_context(developer: Api, tokens: Json) -> None:
    rules = [{"type": "ip_allowlist", "config": {"cidrs": ["203.0.113.0/24"]}}]
    expect(201, developer.post("/policies", {"name": "Office", "rules": rules}))
    long = {"a": "x" * 16_000}
    assert verify(tokens["accessToken"], context={**long, "ip": "203.0.113.7"})["allowed"] is True
    assert verify(tokens["accessToken"], context={**long, "ip": "198.51.100.9"})["allowed"] is False
