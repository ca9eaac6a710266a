"""A policy as JSON and in Cedar: what Cedar can express means the same there."""

from itertools import product
from types import MappingProxyType

import pytest

from core import clock
from developers.acting import as_developer as acting_as
from policies.rules import RuleContext
from policies.rules.cedar import Cedar
from policies.rules.parsing import parse_rule
from policies.services import create_policy
from tests.policies.test_cases import ONE_OF_EACH
from tests.world import ANONYMOUS
from web.portal.policies.cedar import PERMIT, as_cedar, statement_of

RULES = [
    {"type": "action_allowlist", "config": {"actions": ["email:read", "payments:*"]}},
    {"type": "action_allowlist", "config": {"actions": []}},
    {"type": "action_blocklist", "config": {"actions": ["email:send", "payments:*"]}},
    {"type": "ip_allowlist", "config": {"cidrs": ["203.0.113.0/24", "2001:db8::/32"]}},
    {"type": "ip_allowlist", "config": {"cidrs": []}},
    {"type": "ip_allowlist", "config": {"cidrs": ["203.0.113.7"], "actions": ["email:*"]}},
]
ASKED = [("email:read",), ("email:send",), ("email:read", "email:send"), ("payments:charge",), ("emailx",)]
ADDRESSES = [None, "203.0.113.7", "198.51.100.1", "2001:db8::1"]


@pytest.mark.parametrize("raw", RULES, ids=str)
def test_the_text_in_cedar_decides_as_the_rule(raw):
    rule, cedar = parse_rule(raw), Cedar(policy=as_cedar([raw]))
    for scopes, ip in product(ASKED, ADDRESSES):
        call = RuleContext(clock.now(), "agt_1", scopes, ip=ip, context=MappingProxyType({}))
        is_denied = rule.concerns(call) and rule.check(call) is not None
        assert (cedar.check(call) is not None) is is_denied, (scopes, ip)


@pytest.mark.parametrize("kind", ["rate_limit", "spend_limit", "time_window", "context_match", "data_flow"])
def test_rules_that_cedar_cannot_express_are_comments(kind):
    rule = next(one for one in ONE_OF_EACH if one.type == kind)
    assert statement_of(rule) is None
    text = as_cedar([{"type": kind, "config": rule.model_dump(mode="json", exclude_defaults=True)}])
    assert text == f"// Not expressible in Cedar: {rule.sentence()}.\n\n{PERMIT}"


def test_one_rule_in_cedar_is_its_text_and_two_are_comments():
    own = {"type": "cedar", "config": {"policy": "permit (principal, action, resource);"}}
    assert as_cedar([own]) == own["config"]["policy"]
    assert as_cedar([own, own]).count("// Not expressible") == 2


def test_an_unreadable_rule_denies_in_cedar_too():
    text = as_cedar([{"type": "made_up", "config": {}}])
    assert "forbid (principal, action, resource);" in text
    assert Cedar(policy=text).check(RuleContext(clock.now(), "agt_1", ("email:read",))) is not None


def test_the_page_shows_both(as_developer, as_rival, developer):
    actor = acting_as(ANONYMOUS, developer)
    policy = create_policy(actor=actor, organization=developer.organization, name="Mine", rules=RULES[2:3])
    page = as_developer.get(f"/developer/policies/{policy.id}/code")
    assert '"type": "action_blocklist"' in page.context["json"]
    assert 'context.action like "payments:*"' in page.context["cedar"]
    assert as_rival.get(f"/developer/policies/{policy.id}/code").status_code == 404
