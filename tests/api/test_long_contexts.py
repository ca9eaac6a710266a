"""Rules see a long `context` whole. The log keeps its digest, size and beginning."""

import hashlib
import json
from typing import Any

from audit.models import Entry
from tests.api.conftest import Api, Json, expect, verify
from tests.log import log_entry, personal_data


def logged(tokens: Json, context: Json) -> Any:
    audit_id = verify(tokens["accessToken"], context=context)["auditId"]
    return personal_data(audit_id)["context"]


def canonical(context: Json) -> bytes:
    return json.dumps(context, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def context_of(size: int) -> Json:
    context = {"ip": "203.0.113.7", "text": ""}
    return {**context, "text": "x" * (size - len(canonical(context)))}


def test_a_context_of_4096_bytes_is_logged_whole(tokens: Json) -> None:
    context = context_of(4096)
    assert logged(tokens, context) == context


def test_a_longer_context_is_logged_as_digest_size_and_beginning(tokens: Json) -> None:
    context = context_of(4097)
    encoded = canonical(context)
    assert logged(tokens, context) == {
        "truncated": True,
        "size": 4097,
        "sha256": hashlib.sha256(encoded).hexdigest(),
        "beginning": encoded[:1024].decode(),
    }


def test_the_beginning_is_cut_between_characters(tokens: Json) -> None:
    assert logged(tokens, {"text": "é" * 4000})["beginning"] == '{"text":"' + "é" * 507


def test_the_longest_context_leaves_a_small_entry(tokens: Json) -> None:
    audit_id = verify(tokens["accessToken"], context={"text": "x" * 16_000})["auditId"]
    assert len(Entry.objects.get(pk=log_entry(audit_id).id).sealed) < 3000


def test_a_longer_context_keeps_the_texts_that_say_what_the_call_touches(tokens: Json) -> None:
    context = {"verb": "send", "recipient": "é" * 300, "target": {"id": 1}, "text": "x" * 5000}
    audit_id = verify(tokens["accessToken"], context=context)["auditId"]
    assert personal_data(audit_id)["named"] == {"verb": "send", "recipient": "é" * 200}


def test_rules_see_the_whole_context(developer: Api, tokens: Json) -> None:
    rules = [{"type": "ip_allowlist", "config": {"cidrs": ["203.0.113.0/24"]}}]
    expect(201, developer.post("/policies", {"name": "Office", "rules": rules}))
    long = {"a": "x" * 16_000}
    assert verify(tokens["accessToken"], context={**long, "ip": "203.0.113.7"})["allowed"] is True
    assert verify(tokens["accessToken"], context={**long, "ip": "198.51.100.9"})["allowed"] is False
