"""Sentences about requests: our words for known verbs, the service's own set apart, and nothing left out silently."""

import re
from typing import Any

from approvals.models import Approval
from approvals.selectors import unknown_scope
from approvals.summaries import Act, further_fields, summarize
from consent.models import Consent
from resources.catalogue import catalogue
from tests.approvals import make_approval
from tests.shared import cases
from web.user.approvals.diffs import Block, read_diff
from web.user.approvals.headlines import say, say_plainly, say_up_to

EURO = {"value": "19.90", "currency": "EUR"}


def said(granted: Consent, **fields: Any) -> str:
    """Return the sentence without the marks of what others wrote."""
    return re.sub("<[^>]+>", "", say(make_approval(granted, **fields)))


@cases(
    ("context", "sentence"),
    [
        ({"verb": "pay", "recipient": "shop.example", "amount": EURO}, "Pay €19.90 to shop.example"),
        ({"verb": "PAY", "amount": EURO}, "Pay €19.90"),
        ({"verb": "pay", "recipient": "shop.example"}, "Pay shop.example"),
        ({"verb": "buy", "recipient": "shop.example", "amount": EURO}, "Buy for €19.90: shop.example"),
        ({"verb": "pay", "recipient": "a", "target": "b", "amount": EURO}, "Pay €19.90 to a (b)"),
        ({"verb": "send", "recipient": "bob@acme.com"}, "Send an email to bob@acme.com"),
        ({"verb": "send_email", "recipient": ["a@b.c", "d@e.f"]}, "Send an email to a@b.c, d@e.f"),
        ({"verb": "delete", "target": "menu.txt"}, "Delete menu.txt"),
        ({"verb": "delete"}, "Delete"),
        ({"recipient": "bob"}, "Send email as you: bob"),
        ({}, "Send email as you"),
        ({"verb": "pay", "recipient": "x", "amount": {"value": "-1"}}, "Pay {&quot;value&quot;: &quot;-1&quot;} to x"),
        ({"verb": "pay", "recipient": "100%", "amount": EURO}, "Pay €19.90 to 100%"),
    ],
)
def test_sentences(granted: Consent, context: dict[str, Any], sentence: str) -> None:
    assert said(granted, context=context) == sentence


@cases(
    ("context", "sentence"),
    [
        ({"verb": "obliterate", "target": "menu.txt"}, "obliterate: menu.txt"),
        ({"verb": "invite", "recipient": "bob"}, "invite: bob"),
        ({"verb": ["x"], "recipient": "bob"}, "x: bob"),
        ({"verb": "cancel", "target": "Lunch"}, "Cancel Lunch"),
        ({"verb": "delete", "target": "Lunch"}, "Delete Lunch"),
        ({"verb": "read", "target": "Lunch"}, "Read Lunch"),
    ],
)
def test_a_verb_heads_what_needs_a_standard_scope(granted: Consent, context: dict[str, Any], sentence: str) -> None:
    assert said(granted, context=context, scopes=["email:read"]) == sentence


@cases(
    ("scopes", "action", "verb", "sentence"),
    [
        (["payments:charge"], "payments:capture", "refund", "Capture a payment: you"),
        (["payments:charge"], "payments:capture", "Read your email", "Capture a payment: you"),
        (["payments:charge"], "payments:capture", "share", "Capture a payment: you"),
        (["payments:charge"], "payments:capture", "pay", "Pay you"),
        (["payments:charge"], "", "cancel", "Take payments from you: you"),
        (["files:delete"], "files:erase", "create", "Erase your files for good: you"),
        (["files:delete"], "files:erase", "delete", "Delete: you"),
        (["calendar:write"], "calendar:cancel", "read", "Cancel events: you"),
        (["calendar:write"], "", "read", "Manage your events: you"),
        (["email:manage", "email:read"], "email:delete", "list", "Delete mail: you"),
        (["email:read"], "email:delete", "", "Delete mail: you"),
        (["email:read"], "payments:refund", "pay", "Refund a payment: you"),
        (["email:send"], "", "obliterate", "Send email as you: you"),
    ],
)
def test_no_verb_hides_what_a_request_does(scopes: list[str], action: str, verb: str, sentence: str) -> None:
    found = [catalogue()[scope] for scope in scopes]
    act = Act(scopes, action, "", {"verb": verb, "recipient": "you"}, lambda: found)
    assert say_plainly(summarize(act)) == sentence


def test_the_resource_stands_in_for_the_target(granted: Consent) -> None:
    assert said(granted, context={"verb": "delete"}, resource="https://x.example/1") == "Delete https://x.example/1"


@cases(
    ("scopes", "action", "sentence"),
    [
        (["email:send", "email:read"], "email:send", "Send email as you"),
        (["email:send", "email:read"], "email:forward", "Forward email as you"),
        (["email:manage", "email:read"], "email:delete", "Delete mail"),
        (["payments:charge", "email:read"], "email:search", "Take payments from you"),
        (["payments:charge", "payments:read"], "payments:capture", "Capture a payment"),
        (["email:read", "payments:charge"], "", "Take payments from you"),
        (["calendar:write"], "a word of the service", "Manage your events"),
        (["acme:read"], "acme:close", "acme:read"),
        ([], "close", "close"),
    ],
)
def test_the_gravest_of_action_and_scopes_is_the_title(scopes: list[str], action: str, sentence: str) -> None:
    found = [catalogue().get(scope) or unknown_scope(scope) for scope in scopes]
    assert say_plainly(summarize(Act(scopes, action, "", {}, lambda: found))) == sentence


def test_a_harmless_verb_heads_no_grave_request(granted: Consent) -> None:
    approval = make_approval(granted, context={"verb": "read", "recipient": "bob"})
    assert said(granted, context={"verb": "read", "recipient": "bob"}) == "Send email as you: bob"
    assert further_fields(approval) == ["verb"]
    assert said(granted, context={"verb": "read", "target": "x"}, scopes=["email:read"]) == "Read x"
    assert said(granted, context={"verb": "read"}, scopes=["email:read"]) == "Read your email"


def test_what_others_wrote_is_set_apart_and_cut(granted: Consent) -> None:
    approval = make_approval(granted, context={"verb": "<b>", "recipient": "x" * 500 + "\u202e"}, scopes=["email:read"])
    html = say(approval)
    assert '<bdi class="named">&lt;b&gt;</bdi>' in html
    assert f"{'x' * 159}…</bdi>" in html
    assert "\u202e" not in html


def test_a_rule_says_its_limit(granted: Consent) -> None:
    from core.money import Amount

    approval = make_approval(granted, context={"verb": "pay", "recipient": "shop", "amount": EURO})
    rule = re.sub("<[^>]+>", "", say_up_to(approval, Amount("20", "EUR")))
    assert rule == "Pay up to €20.00 to shop"
    bare = Approval(context={"verb": "send", "recipient": "bob"}, scopes=["email:send"], consent=granted)
    assert re.sub("<[^>]+>", "", say_up_to(bare, None)) == "Send an email to bob"


def test_a_diff_in_blocks() -> None:
    blocks = read_diff("--- a\n+++ b\n same\n-old\n+new\r\n+more\u200b")
    expected = [("same", "--- a\n+++ b\n same"), ("removed", "-old"), ("added", "+new\n+more\\u200b")]
    assert blocks == [Block(*each) for each in expected]
    assert read_diff("no change\n at all") == []
