"""A remembered basis never decides by facts that have changed, or at a time at which others hold."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from django.conf import settings

from audit.entries.drafts import prepare
from audit.entries.journal import encode_entry
from core.actor import Actor
from decisions import basis
from decisions.basis import Found, find_basis, forget_policies, lay_basis
from decisions.entries import draft_entry, encode_entries
from decisions.facts import ScopeFacts, TokenFacts
from decisions.judgement import judge
from decisions.questions import Question
from decisions.requests import Reason
from decisions.terms import compile_terms
from policies.policy_sets import NO_POLICIES
from tests.decisions.drivers import forget
from tests.decisions.test_judgement import (
    BEFORE,
    BLOCKED,
    CALLER,
    CREDENTIAL,
    NOW,
    SERVICE,
    SOON,
    TOKEN,
    found,
    policy_set,
    question,
)
from tests.shared import cases
from tokens.chains import Handover

OURS = TOKEN._replace(audience_json='["https://shop.example"]')
AT_SHOP = found(OURS, caller=CALLER, service=SERVICE, service_policies=NO_POLICIES)
OTHER_VALUES: dict[str, Any] = {
    "expires_at": SOON + timedelta(seconds=1),
    "scope": "email:send",
    "audience_json": f'["{settings.API_URL}"]',
    "owners_json": "{}",
    "removed_scopes": '["email:read"]',
    "consent_status": "revoked",
    "consent_expires_at": NOW,
    "consented_scopes": "[]",
    "terms": '{"modes": {"email:read": "ask"}}',
    "agent_status": "suspended",
    "allowed_scopes": "[]",
}
CALLED = Actor("anonymous", ip="10.0.0.9", user_agent="shop/1", request_id=f"req_{'0' * 31}1")


@pytest.fixture(autouse=True)
def _remembers_nothing() -> Iterator[None]:
    forget()
    yield
    forget()


def ask_shop(*scopes: str, **others: Any) -> Question:
    asked = question(*scopes, credential=CREDENTIAL, **others)
    return asked._replace(request=asked.request._replace(actor=CALLED))


def remembered(asked: Question, known: Found, now: datetime = NOW) -> Any:
    assert known.token
    return find_basis(asked, known.token, known, now)


def changed(token: TokenFacts, name: str) -> TokenFacts:
    before = getattr(token, name)
    value = OTHER_VALUES.get(name, not before if isinstance(before, bool) else f"{before}2")
    return token._replace(**{name: value})


def test_it_is_remembered_while_the_facts_are_equal() -> None:
    first = remembered(ask_shop(), AT_SHOP)
    again = AT_SHOP._replace(token=TokenFacts._make(OURS), service=SERVICE._replace())
    assert remembered(ask_shop(), again, NOW + timedelta(seconds=1)) is first


@cases("name", TokenFacts._fields)
def test_no_fact_of_a_token_is_remembered_once_it_has_changed(name: str) -> None:
    remembered(ask_shop(), AT_SHOP)
    after = AT_SHOP._replace(token=changed(OURS, name))

    decided, afresh = judge(ask_shop(), after, NOW), lay_basis(ask_shop(), after.token, after, NOW)  # type: ignore[arg-type]

    assert decided.decision.reason is afresh.reason
    assert decided.basis
    assert decided.basis.found == after


@cases(
    "change",
    [
        {"service": SERVICE._replace(is_suspended=True)},
        {"service": SERVICE._replace(organization_id="org_9")},
        {"service_policies": policy_set(BLOCKED)},
        {"agent_policies": policy_set(BLOCKED)},
        {"terms": compile_terms('{"modes": {"email:read": "ask"}}', "agt_1", "usr_1", "cns_1")},
        {"scopes": [ScopeFacts("email:read", "[]", "high", "org_2")]},
    ],
)
def test_nor_is_any_other_fact(change: dict[str, Any]) -> None:
    before = remembered(ask_shop(), AT_SHOP)
    assert remembered(ask_shop(), AT_SHOP._replace(**change)) is not before


@cases(
    ("now", "reason"),
    [
        (SOON - timedelta(microseconds=1), None),
        (SOON, Reason.TOKEN_EXPIRED),
        (SOON + timedelta(days=1), Reason.TOKEN_EXPIRED),
        (BEFORE, None),
    ],
)
def test_it_ends_with_the_token(now: datetime, reason: Reason | None) -> None:
    remembered(ask_shop(), AT_SHOP)
    assert judge(ask_shop(), AT_SHOP, now).decision.reason is reason


def test_it_ends_with_the_consent() -> None:
    known = AT_SHOP._replace(token=OURS._replace(expires_at=SOON + timedelta(days=1)))
    remembered(ask_shop(), known)
    assert judge(ask_shop(), known, SOON).decision.reason is Reason.CONSENT_EXPIRED


@cases(
    "other",
    [
        ask_shop("email:send"),
        ask_shop("email:read", "email:send"),
        ask_shop(action="shop:buy"),
        ask_shop(is_introspection=True),
        question(resource="https://shop.example"),
    ],
)
def test_another_question_has_a_basis_of_its_own(other: Question) -> None:
    first = remembered(ask_shop(), AT_SHOP)
    assert remembered(other, AT_SHOP) is not first
    assert remembered(ask_shop(), AT_SHOP) is first


@cases(
    "known",
    [
        AT_SHOP._replace(token=OURS._replace(is_family_revoked=True)),
        AT_SHOP._replace(token=OURS._replace(terms='{"labels": {"email:read": ["' + "x" * 5000 + '"]}}')),
    ],
    ids=["denied", "long"],
)
def test_what_anyone_could_make_up_and_what_is_long_is_not_remembered(known: Found) -> None:
    remembered(ask_shop(), known)
    assert not basis._bases


def test_a_chain_is_remembered_unless_agents_have_made_it_long() -> None:
    handed = Handover._make([None] * len(Handover._fields))._replace(
        expires_at=SOON, limits_json="{}", targets_json="{}", agent_id="agt_0", organization_id="org_1"
    )
    chains = [(handed._replace(limits_json=" " * blanks + "{}"),) for blanks in (5000, 0)]
    for chain, number in zip(chains, (0, 1), strict=True):
        assert remembered(ask_shop(), AT_SHOP._replace(chain=chain, chain_policies=(None,))).reason is None
        assert len(basis._bases) == number


@cases("asked", [ask_shop(*["email:read"] * 100), ask_shop(action="shop:" + "x" * 500)], ids=["scopes", "action"])
def test_nor_is_what_a_caller_makes_long(asked: Question) -> None:
    remembered(asked, AT_SHOP)
    assert not basis._bases


def test_policies_that_have_changed_are_forgotten() -> None:
    old, new = policy_set("[]"), policy_set("[]")
    remembered(ask_shop(), AT_SHOP._replace(agent_policies=old))
    kept = remembered(ask_shop("email:send"), AT_SHOP._replace(service_policies=new))
    forget_policies(old)
    assert list(basis._bases.values()) == [kept]


@cases(
    "request_",
    [
        {},
        {"context": {"ip": "203.0.113.7", "text": "Buy \u20ac 5", "n": 1.5}},
        {"context": {"amount": {"value": "12.50", "currency": "EUR"}}, "action": "shop:buy"},
        {"resource": "https://shop.example/1", "is_forwarded": True},
        {"is_introspection": True},
    ],
)
def test_an_entry_by_template_is_the_entry_that_is_drafted(
    request_: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    judgement = judge(ask_shop(**request_), AT_SHOP, NOW)
    assert judgement.decision.allowed
    encode_entries([judgement], [], NOW)
    later = NOW + timedelta(seconds=1)
    ids, (filled,) = encode_entries([judgement], [], later)

    assert judgement.basis
    assert judgement.basis.template
    (drafted,) = prepare([draft_entry(judgement)], later)
    drafted.content["id"] = ids[0]
    assert filled == encode_entry(drafted)._replace(withheld=())
    assert orjson.loads(filled.record)["id"] == ids[0]


@cases("request_id", ["trace-1234", "log_1", f"req_{'0' * 31}"])
def test_a_request_id_of_the_caller_is_personal_and_uses_no_template(request_id: str) -> None:
    asked = ask_shop()
    asked = asked._replace(request=asked.request._replace(actor=CALLED._replace(request_id=request_id)))
    judgement = judge(asked, AT_SHOP, NOW)
    encode_entries([judgement], [], NOW)
    assert judgement.basis
    assert judgement.basis.template is None
