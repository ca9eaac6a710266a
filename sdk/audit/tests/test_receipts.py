"""Receipts, proofs of single entries, and canonical JSON."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_builder import LogBuilder, Signer, canonical, moment
from receipt_builder import QUESTION, payload, sign

from agentgate_audit import Broken, Unusable, VerifierKey, match_question, verify_proof, verify_receipt
from agentgate_audit.canonical import canonicalize
from agentgate_audit.entries import read_entry
from agentgate_audit.receipt import digest_question, match_decision, match_entry, read_decision
from agentgate_audit.strict_json import parse_json


def test_a_receipt_holds(key: VerifierKey):
    found = verify_receipt(sign(payload()) + "\n", key)
    assert found["decision"]["allowed"] is True
    match_question(found, parse_json(json.dumps(QUESTION)))


@pytest.mark.parametrize(
    ("receipt", "message"),
    [
        (sign(payload(), alg="none"), "header is not that of a receipt"),
        (sign(payload(), alg="HS256"), "header is not that of a receipt"),
        (sign(payload(), typ="JWT"), "header is not that of a receipt"),
        (sign(payload(), kid="00000000"), "header is not that of a receipt"),
        (sign(payload(), crit=["b64"], b64=False), "header is not that of a receipt"),
        (sign(payload(), jwk={}), "header is not that of a receipt"),
        (sign(payload(), Signer(seed=9)), "header is not that of a receipt"),
        (sign(payload(), Signer(seed=9), kid=Signer().id.hex()), "signature is not valid"),
        (sign(payload()).rsplit(".", 1)[0] + ".", "signature is not valid"),
        (sign(payload(iss="other.example")), "of another version or log"),
        (sign(payload(v=2)), "of another version or log"),
        (sign(payload(iat="now")), "iat is not a number"),
        (sign(payload(timestamp="now")), "timestamp is not a time"),
        (sign(payload(auditId=5)), "auditId is not a string"),
        (sign(payload(question="AB")), "no question or decision"),
        (sign(payload(more=1)), "unknown member 'more'"),
        (sign(payload(decision={"allowed": 1})), "no question or decision"),
        (sign(payload(decision={"more": 1})), "unknown member 'more'"),
        (sign([]), "the receipt is not an object"),
        (sign(b"{"), "is not JSON"),
        (sign(b'{"v":1,"v":1}'), "a name is repeated"),
    ],
)
def test_a_false_receipt_is_named(receipt: str, message: str, key: VerifierKey):
    with pytest.raises(Broken, match=message):
        verify_receipt(receipt, key)


def test_no_changed_character_passes(key: VerifierKey):
    receipt = sign(payload())
    for place, character in enumerate(receipt):
        changed = receipt[:place] + ("A" if character != "A" else "B") + receipt[place + 1 :]
        with pytest.raises((Broken, Unusable)):
            verify_receipt(changed, key)


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c.d", "é.b.c"])
def test_what_is_not_a_receipt_is_unusable(text: str, key: VerifierKey):
    with pytest.raises(Unusable, match="not a receipt"):
        verify_receipt(text, key)


def test_a_receipt_is_taken_from_a_decision():
    assert read_decision("a.b.c\n")["receipt"] == "a.b.c\n"
    assert read_decision('\n{"allowed": true, "receipt": "a.b.c"}') == {"allowed": True, "receipt": "a.b.c"}
    for text, message in [
        ('{"allowed": true}', "has no receipt"),
        ('{"receipt": "a.b.c"}', "has no 'allowed'"),
        ("{", "the decision is not JSON"),
    ]:
        with pytest.raises(Unusable, match=message):
            read_decision(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"allowed": False}, "allowed is False in the decision and True in its receipt"),
        ({"allowed": 1}, "allowed is 1 in the decision and True in its receipt"),
        ({"reason": "x"}, "reason is 'x' in the decision and None in its receipt"),
        ({"userId": "usr_2"}, "userId is 'usr_2' in the decision and 'usr_1' in its receipt"),
        ({"agentId": "agt_2"}, "agentId is 'agt_2'"),
        ({"consentId": None}, "consentId is None"),
        ({"auditId": "log_9"}, "auditId is 'log_9' in the decision and 'log_0' in its receipt"),
    ],
)
def test_a_decision_that_does_not_match_its_receipt_is_named(change: dict[str, Any], message: str):
    decision = {**payload()["decision"], "auditId": "log_0", "grantedScopes": ["email:send"]}
    match_decision(payload(), decision)
    with pytest.raises(Broken, match=f"^{message}"):
        match_decision(payload(), {**decision, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"action": "email:read"},
        {"context": {}},
        {"requiredScopes": ["email:send", "email:read"]},
        {"resource": "https://mail.example"},
        {"token": "another"},
    ],
)
def test_another_question_is_named(change: dict[str, Any]):
    with pytest.raises(Broken, match="^the receipt is about another question$"):
        match_question(payload(), {**QUESTION, **change})


def test_a_question_is_the_body_that_the_service_sent():
    short = {"token": "eyJ.token", "requiredScopes": ["a"]}
    full = {"action": None, "context": {}, "requiredScopes": ["a"], "resource": None, "token": QUESTION["token"]}

    assert digest_question(short) == hashlib.sha256(canonical(full).encode()).hexdigest()
    assert digest_question({**short, "receipt": True, "context": None}) == digest_question(short)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ([], "the question is not an object"),
        ({"requiredScopes": []}, "the question has no 'token'"),
        ({"requiredScopes": [], "token": 5}, "token is not a string"),
        ({"requiredScopes": [], "token": "x", "more": 1}, "unknown member 'more'"),
        ({"requiredScopes": [], "token": "x", "context": {"n": 10**400}}, "too large for canonical JSON"),
        ({"requiredScopes": [], "token": "x", "context": {"\ud800": 1}}, "is not Unicode"),
    ],
)
def test_a_malformed_question_is_unusable(question: Any, message: str):
    with pytest.raises(Unusable, match=message):
        digest_question(question)


def test_a_receipt_matches_its_entry(log: LogBuilder):
    log.allow()
    entry = read_entry(log.line(0, 1))
    match_entry(payload(), entry)

    for changes, message in [
        ({"decision": {"allowed": False}}, "outcome is 'allowed' in the log and 'denied' in the receipt"),
        ({"decision": {"reason": "x"}}, "reason is None in the log and 'x' in the receipt"),
        ({"decision": {"agentId": "agt_2"}}, "agentId is 'agt_1' in the log"),
        ({"decision": {"userId": "usr_2"}}, "userId is 'usr_1' in the log"),
        ({"decision": {"consentId": None}}, "consentId is 'con_1' in the log"),
        ({"timestamp": moment(1)}, "timestamp is "),
        ({"auditId": "log_1"}, "id is 'log_0' in the log"),
    ]:
        with pytest.raises(Broken, match=f"^index 0: {message}"):
            match_entry(payload(**changes), entry)


def test_only_decisions_have_receipts(log: LogBuilder):
    log.add("consent.approved", "allowed")
    with pytest.raises(Broken, match="event is 'consent.approved' in the log"):
        match_entry(payload(), read_entry(log.line(0, 1)))


def test_a_proof_holds(history: LogBuilder, key: VerifierKey):
    for index in range(len(history.leaves)):
        entry, checkpoint = verify_proof(history.proof(index), key)
        assert (entry.index, checkpoint.size) == (index, len(history.leaves))
    bare = {**history.proof(4), "disclosures": {}}
    assert verify_proof(bare, key)[0].hides_parts


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"index": 5}, "index 5: the entry says that its index is 4"),
        ({"proof": []}, "index 4: the entry is not in the log"),
        ({"proof": ["x"]}, "index 4: a hash of the proof is not"),
        ({"more": 1}, "the proof has the unknown member 'more'"),
        ({"checkpoint": "x"}, "checkpoint: is not a signed note"),
        ({"checkpoint": 5}, "checkpoint: it is not a string"),
        ({"disclosures": {"personal": ["[]"]}}, "index 4: a disclosure of personal is not"),
    ],
)
def test_a_false_proof_is_named(change: dict[str, Any], message: str, history: LogBuilder, key: VerifierKey):
    with pytest.raises(Broken, match=f"^{message}"):
        verify_proof({**history.proof(4), **change}, key)


def test_a_proof_by_another_log_is_refused(history: LogBuilder, key: VerifierKey):
    forger = LogBuilder(Signer(seed=8))
    forger.allow()
    with pytest.raises(Broken, match="^checkpoint: is not signed by"):
        verify_proof(forger.proof(0), key)


def test_an_entry_beyond_the_checkpoint_is_refused(history: LogBuilder, key: VerifierKey):
    proof = {**history.proof(9), "checkpoint": history.checkpoint(9)}
    with pytest.raises(Broken, match="^index 9: the entry is not in the log"):
        verify_proof(proof, key)


@pytest.mark.parametrize("value", [None, [], {}, {"entry": "x"}, "text"])
def test_what_is_not_a_proof_is_unusable(value: Any, key: VerifierKey):
    with pytest.raises(Unusable, match="not a proof"):
        verify_proof(value, key)


# RFC 8785, sections 3.2.2 and 3.2.3 and appendix B.
CANONICAL = [
    (
        '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],'
        '"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}',
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    ),
    (
        '{"\\u20ac":1,"\\r":2,"\\ufb33":3,"1":4,"\\ud83d\\ude00":5,"\\u0080":6,"\\u00f6":7}',
        '{"\\r":2,"1":4,"\x80":6,"ö":7,"€":1,"😀":5,"\ufb33":3}',
    ),
    (
        "[0.0,-0.0,5e-324,-1.7976931348623157e308,9007199254740992.0,295147905179352830000.0,1e21,1e20,1e-6,1e-7,1.5e-7]",
        "[0,0,5e-324,-1.7976931348623157e+308,9007199254740992,295147905179352830000,"
        "1e+21,100000000000000000000,0.000001,1e-7,1.5e-7]",
    ),
    (
        "[999999999999999700000.0,1424953923781206.2,-0.0000033333333333333333]",
        "[999999999999999700000,1424953923781206.2,-0.0000033333333333333333]",
    ),
]


@pytest.mark.parametrize(("text", "expected"), CANONICAL)
def test_canonical_json_is_that_of_the_rfc(text: str, expected: str):
    assert canonicalize(parse_json(text)) == expected


def test_large_integers_are_doubles():
    """As RFC 8785 reads JSON: 2**53 + 1 is not a double."""
    assert canonicalize([2**53 - 1, 2**53 + 1, -(10**21)]) == "[9007199254740991,9007199254740992,-1e+21]"


def test_infinity_has_no_canonical_json():
    with pytest.raises(Unusable, match="too large"):
        canonicalize(parse_json("1e999"))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    # Half of a surrogate pair has no UTF-8.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("äz😀é", max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_canonical_json_is_read_back(value: Any):
    text = canonicalize(parse_json(json.dumps(value)))
    assert json.loads(text, parse_int=float) == json.loads(json.dumps(value), parse_int=float)
    assert canonicalize(parse_json(text)) == text
