"""The trial of an agent: it answers as verify does to the same grant, and it writes nothing."""

import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from developers.acting import as_developer as acting_for
from policies.services import create_policy
from tests.log import log_entries
from tests.oauth.client import make_client
from tests.shared import cases
from tests.web.consent_screen import Screen, verify
from tests.web.markup import text_of
from tests.world import ANONYMOUS, make_agent

READ, SEND, PAY = "email:read", "email:send", "payments:charge"
# Django quotes the statements of a pipeline on PostgreSQL: QUERY = '...' - PARAMS = (...).
READS = re.compile(r"""(QUERY = ['"])?[-*/ ]*(SELECT|SAVEPOINT|RELEASE)\b""")
NO_SENDING = {"type": "action_blocklist", "config": {"actions": [SEND]}}
ONCE = {"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 3600, "scope": "per_agent"}}


@pytest.fixture
def url(agent):
    return f"/developer/agents/{agent.id}/try"


@pytest.fixture
def allow(as_developer, url):
    """Allow scopes on the screen, and ask about a call if one is given."""

    def allow(*scopes, question=None, **fields):
        asked = {f"question-{name}": value for name, value in (question or {}).items()}
        return as_developer.post(url, {"decision": "allow", "scopes": scopes, **fields, **asked})

    return allow


@pytest.fixture
def make_policy(developer):
    def make_policy(*rules, **fields):
        actor = acting_for(ANONYMOUS, developer)
        fields = {"name": "Quiet", **fields}
        return create_policy(actor=actor, organization=developer.organization, rules=list(rules), **fields)

    return make_policy


def outcomes(response):
    return {answer.call.scope: answer.outcome for answer in response.context["answers"]}


def reason_of(response):
    return response.context["answer"].reason


def test_the_forms_say_which_policy_refuses_a_scope(as_developer, url, agent, make_policy):
    make_policy(NO_SENDING, agent=agent, name="No mail")
    refused = "Policy “No mail” refuses this scope"
    assert text_of(as_developer, url).count(refused) == 1
    assert text_of(as_developer, f"/developer/agents/{agent.id}/edit").count(refused) == 1
    assert refused not in text_of(as_developer, "/developer/agents/new")
    make_policy(NO_SENDING, name="No mail from anyone")
    assert "Policy “No mail from anyone” refuses this scope" in text_of(as_developer, "/developer/agents/new")


def test_each_scope_has_the_answer_of_verify(allow, make_policy):
    assert outcomes(allow(READ, SEND, **{f"mode-{SEND}": "ask"})) == {
        READ: "allowed", SEND: "asked", PAY: "denied", "calendar:freebusy": "denied", "profile:read": "denied",
    }  # fmt: skip
    make_policy(NO_SENDING, mode="shadow")
    assert outcomes(allow(SEND, **{f"mode-{SEND}": "allow"}))[SEND] == "allowed"
    make_policy(NO_SENDING)
    assert outcomes(allow(SEND, **{f"mode-{SEND}": "allow"}))[SEND] == "denied"


def test_verify_gives_the_same_answers_after_the_same_form(as_developer, developer, ada, make_policy):
    client = make_client(developer, allowed_scopes=[READ, SEND, "files:read"])
    make_policy({"type": "action_blocklist", "config": {"actions": ["files:read"]}})
    token = Screen(client, ada, READ, SEND, "files:read").token(READ, "files:read")
    url = f"/developer/agents/{client.agent.id}/try"
    tried = as_developer.post(url, {"decision": "allow", "scopes": [READ, "files:read"]})
    for answer in tried.context["answers"]:
        real = verify(token, answer.call.scope)
        assert (answer.outcome == "allowed", answer.reason) == (real["allowed"], real.get("reason"))


def test_a_denial_names_the_policy_and_keeps_the_decision_and_the_question(allow, make_policy):
    policy = make_policy(NO_SENDING)
    response = allow(READ, SEND, question={"scope": SEND, "context": '{"recipient": "ada@example.com"}'})
    text = response.content.decode()
    assert "A policy denied it." in text
    assert f'/policies/{policy.id}"' in text
    assert "ada@example.com" in text
    assert re.findall(r'<input type="hidden" name="scopes" value="([^"]*)">', text) == [READ, SEND]


def test_limits_begin_empty_for_each_question(allow, make_policy):
    make_policy(ONCE)
    for _ in range(2):
        assert outcomes(allow(READ, question={"scope": READ}))[READ] == "allowed"


def test_a_limit_of_the_user_denies(allow):
    limit = {f"limit-amount-{PAY}": "50", f"limit-currency-{PAY}": "EUR", f"limit-period-{PAY}": "86400"}
    paying = {"scope": PAY, "context": json.dumps({"amount": {"value": "80", "currency": "EUR"}})}
    response = allow(PAY, question=paying, **limit)
    assert reason_of(response) == "policy_denied"
    assert "A limit of the connection denied it." in response.content.decode()
    cheap = {**paying, "context": json.dumps({"amount": {"value": "8", "currency": "EUR"}})}
    assert reason_of(allow(PAY, question=cheap, **limit)) == "approval_required"


def test_a_missing_permission_is_told_from_an_action_that_no_scope_covers(allow):
    assert "The permission had not been granted." in allow(READ, question={"scope": SEND}).content.decode()
    uncovered = allow(READ, question={"scope": READ, "action": "payments:refund"})
    assert "No scope covers the action." in uncovered.content.decode()
    assert 'Did you mean "email:read"?' in allow(
        READ, question={"scope": READ, "action": "email:raed"}
    ).content.decode().replace("&quot;", '"')


def test_it_writes_nothing(allow):
    allow(READ)
    before = log_entries().count()
    with CaptureQueriesContext(connection) as queries:
        allow(READ, SEND, question={"scope": READ})
    assert log_entries().count() == before
    written = [one["sql"] for one in queries if not READS.match(one["sql"])]
    assert [one for one in written if "limits_" not in one] == []


def test_trials_are_throttled_by_organization(allow, monkeypatch):
    monkeypatch.setattr("decisions.whatif.simulation.SIMULATION_RATE", "1/hour")
    assert allow(READ).status_code == 200
    assert allow(READ).status_code == 429


def test_the_screen_asks_for_what_the_address_says(as_developer, url):
    assert text_of(as_developer, url).count('name="scopes"') == 5
    chosen = text_of(as_developer, f"{url}?ask={READ}&ask={SEND}&ask=drive:read")
    assert chosen.count('name="scopes"') == 2
    answer = as_developer.post(f"{url}?ask={READ}", {"decision": "allow", "scopes": [SEND]})
    assert "Nothing is ticked" in answer.content.decode()  # it was not asked for


def test_denying_gives_the_agent_no_token(as_developer, url):
    answer = as_developer.post(url, {"decision": "deny"})
    assert "access_denied" in answer.content.decode()
    assert "question-scope" not in answer.content.decode()


@cases(
    ("form", "said"),
    [
        ({"decision": "allow"}, "Nothing is ticked"),
        ({"decision": "allow", "scopes": [SEND], "limit-number-email:send": "-3"}, "A limit cannot be used as it is"),
    ],
)
def test_a_decision_that_cannot_be_taken_is_shown_again(as_developer, url, form, said):
    answer = as_developer.post(url, form)
    assert answer.status_code == 422
    assert said in answer.content.decode()


@cases(
    ("context", "said"),
    [
        ("[1]", "Must be a JSON object"),
        ('{"a": ', "Must be JSON. Line 1, column"),
        ('{"ip": "here"}', "must be an IPv4 or IPv6 address"),
        ('{"ip": 1}', "must be an IPv4 or IPv6 address"),
        ('{"a": "\\u0000"}', "Must not contain NUL characters."),
        ('{"a": ' * 500 + "1" + "}" * 500, "deep nesting"),
        ('{"a": 1152921504606846976}', "a: this number is too large"),
        (json.dumps({"a": "x" * 4000}), "Must be at most 4000 characters."),
    ],
    ids=["list", "syntax", "address", "no text", "NUL", "deep", "huge", "long"],
)
def test_a_context_that_is_refused_is_kept(allow, context, said):
    answer = allow(READ, question={"scope": READ, "context": context})
    assert answer.status_code == 422
    assert said in answer.content.decode()


def test_other_organizations_see_no_trial(as_rival, url):
    assert as_rival.get(url).status_code == 404
    assert as_rival.post(url, {"decision": "deny"}).status_code == 404


def test_an_agent_without_scopes_leads_to_its_scopes(as_developer, developer):
    agent = make_agent(developer, allowed_scopes=[])
    assert "This agent has no scopes" in text_of(as_developer, f"/developer/agents/{agent.id}/try")


def test_a_suspended_agent_is_denied_in_a_trial_too(as_developer, allow, agent):
    as_developer.post(f"/developer/agents/{agent.id}/suspend", {"reason": ""})
    assert "The agent is suspended or stopped." in allow(READ, question={"scope": READ}).content.decode()
