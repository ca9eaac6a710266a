"""The simulator's page: the outcome, the trace per rule, and what it refuses. It changes nothing."""

from urllib.parse import urlencode

import pytest

from developers.acting import as_developer as acting_as
from policies.services import create_policy
from tests.log import log_entries
from tests.web.markup import words_of
from tests.world import ANONYMOUS, make_agent, make_developer

ONCE = {"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 3600, "scope": "per_agent"}}
NO_MAIL = {"type": "action_blocklist", "config": {"actions": ["email:send"]}}
OFFICE = {"type": "ip_allowlist", "config": {"cidrs": ["203.0.113.0/24"]}}
HOURS = {
    "type": "time_window",
    "config": {"allowedDays": [1], "startTimeUtc": "08:00", "endTimeUtc": "18:00", "timezone": "Europe/Berlin"},
}
SMALL = {
    "type": "context_match",
    "config": {"conditions": [{"field": "amount.value", "operator": "at_most", "value": "50.00"}]},
}
GUARD = {"type": "data_flow", "config": {"windowSeconds": 60, "then": "ask"}}
USER = f"usr_{'0' * 32}"


def make_policy(developer, *rules, **fields):
    actor, fields = acting_as(ANONYMOUS, developer), {"name": "Mine", **fields}
    return create_policy(actor=actor, organization=developer.organization, rules=list(rules), **fields)


def simulate(client, caller, policy=None, **fields):
    path = f"/developer/policies/{policy.id}/simulate" if policy else "/developer/policies/simulator"
    return client.get(f"{path}?{urlencode({'agent': caller.id, 'scopes': 'email:send', **fields})}")


def outcomes(answer):
    return [(str(each.outcome), each.sentence) for each in answer.context["verdicts"]]


def test_each_rule_says_what_it_thinks_of_the_request(as_developer, developer, agent):
    policy = make_policy(
        developer, ONCE, NO_MAIL, OFFICE, {**SMALL, "config": {**SMALL["config"], "actions": ["email:read"]}}
    )
    answer = simulate(as_developer, agent, policy, ip="203.0.113.9")
    assert answer.context["outcome"] == "denied"
    assert outcomes(answer) == [
        ("Denies", "Never email:send"),
        ("Allows", "At most 1 request in any hour, per agent"),
        ("Allows", "Only from 203.0.113.0/24"),
        ("Not concerned", "Only if amount.value is at most 50.00, for email:read"),
    ]
    assert outcomes(simulate(as_developer, agent, policy, ip="203.0.113.9")) == outcomes(answer)
    assert not log_entries(event="token.verify").exists()


@pytest.mark.parametrize(
    ("rule", "fields", "outcome"),
    [
        (NO_MAIL, {"scopes": "email:read calendar:read"}, "passed"),
        (NO_MAIL, {"scopes": "email:read,email:send"}, "denied"),
        (NO_MAIL, {"scopes": "email:read", "action": "email:send"}, "denied"),
        (OFFICE, {}, "denied"),
        (OFFICE, {"ip": "::ffff:203.0.113.9"}, "passed"),
        (SMALL, {"context": '{"amount": {"value": "50.00"}}'}, "passed"),
        (SMALL, {"context": '{"amount": {"value": "50.01"}}'}, "denied"),
        (HOURS, {"at": "2026-11-30T08:00"}, "passed"),
        (HOURS, {"at": "2026-11-30T07:59"}, "denied"),
        (GUARD, {"scopes": "email:read email:send", "user": USER}, "asked"),
        (GUARD, {"scopes": "email:read email:send"}, "denied"),
    ],
)
def test_the_request_has_what_the_form_says(as_developer, developer, agent, rule, fields, outcome):
    as_developer.cookies["timezone"] = "Europe/Berlin"
    policy = make_policy(developer, rule)
    assert simulate(as_developer, agent, policy, **fields).context["outcome"] == outcome


def test_a_policy_for_another_agent_says_nothing(as_developer, developer, agent):
    policy = make_policy(developer, NO_MAIL, agent=make_agent(developer, name="Other"))
    answer = simulate(as_developer, agent, policy)
    assert (answer.context["outcome"], outcomes(answer)) == ("not_concerned", [])


def test_all_policies_in_force_are_asked_together(as_developer, developer, agent, django_assert_max_num_queries):
    make_policy(developer, NO_MAIL, name="Off", enabled=False)
    make_policy(developer, NO_MAIL, name="Trial", mode="shadow")
    make_policy(developer, NO_MAIL, name="Other", agent=make_agent(developer, name="Other"))
    for number in range(60):
        make_policy(developer, OFFICE, name=f"Hours {number}")
    as_developer.get("/developer/policies")
    with django_assert_max_num_queries(12):
        answer = simulate(as_developer, agent, ip="203.0.113.9")
    assert (answer.context["outcome"], len(answer.context["verdicts"])) == ("passed", 50)
    last = simulate(as_developer, agent, ip="203.0.113.9", after=50)
    assert (len(last.context["verdicts"]), last.context["part"].more) == (10, None)
    make_policy(developer, NO_MAIL, name="Ours", agent=agent)
    first = simulate(as_developer, agent, ip="203.0.113.9").context["verdicts"][0]
    assert (first.policy_name, str(first.outcome)) == ("Ours", "Denies")


def test_a_misspelled_scope_is_decided_with_a_hint(as_developer, developer, agent):
    policy = make_policy(developer, NO_MAIL)
    page = simulate(as_developer, agent, policy, scopes="emial:send acme:other email:send")
    assert page.context["outcome"] == "denied"
    first, second = page.context["hints"]
    assert first.endswith('Did you mean "email:send"?')
    assert second.endswith("one of your organization's scopes.")
    assert first in words_of(page)
    (third,) = simulate(as_developer, agent, policy, action="email:sned").context["hints"]
    assert third.endswith('Did you mean "email:send"?')
    assert simulate(as_developer, agent, policy).context["hints"] == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"agent": ""}, "Agent: This field is required."),
        ({"agent": "nobody"}, "Agent: No agent has this name"),
        ({"scopes": ""}, "Required scopes: This field is required."),
        ({"scopes": "Email"}, 'Required scopes: "Email" is not the ID of a scope'),
        ({"scopes": " ".join(f"mail:read{number}" for number in range(21))}, "Required scopes: At most 20 scopes."),
        ({"ip": "1.2.3"}, "IP address of the agent: Must be an IPv4 or IPv6 address"),
        ({"user": "usr_x"}, "User ID: Must be the ID of a user"),
        ({"at": "1999-01-01T00:00"}, "Time: Must be from 2000 to 2099."),
        ({"at": "soon"}, "Time: "),
        ({"context": "["}, "Context, as JSON: Must be JSON"),
        ({"context": "[1]"}, "Context, as JSON: Must be a JSON object."),
        ({"context": '{"a": NaN}'}, "Context, as JSON: Must be JSON"),
        ({"context": '{"a": "\\ud800"}'}, "Context, as JSON: Must be valid Unicode text."),
        ({"context": '{"a": "\\u0000"}'}, "Context, as JSON: Must not contain NUL"),
        ({"context": '{"a": "\\\\u0000"}'}, "passed"),  # a quotation of JSON, which verify accepts
        ({"context": "[" * 4000}, "Context, as JSON: Must be JSON"),
        ({"context": " " * 4000 + "{}"}, "passed"),
        ({"context": f'{{"a": "{"x" * 4000}"}}'}, "Context, as JSON: Must be at most 4000"),
    ],
)
def test_bad_input_names_its_field_and_stays_in_the_form(as_developer, developer, agent, fields, message):
    answer = simulate(as_developer, agent, make_policy(developer, ONCE), **fields)
    if message == "passed":
        assert answer.context["outcome"] == message
        return
    assert answer.status_code == 422
    assert message in words_of(answer)
    assert "outcome" not in answer.context


def test_agents_and_policies_of_others_are_absent(as_rival, as_developer, developer, agent):
    policy = make_policy(developer, ONCE)
    assert simulate(as_rival, agent, policy).status_code == 404
    foreign = make_agent(make_developer("third@example.com", "Third"))
    assert simulate(as_developer, foreign, policy).status_code == 422


def test_simulations_are_throttled_with_those_of_the_api(as_developer, developer, agent, settings):
    settings.THROTTLE_SIMULATE = "1/hour"
    policy = make_policy(developer, ONCE)
    assert simulate(as_developer, agent, policy).status_code == 200
    refused = simulate(as_developer, agent, policy)
    assert (refused.status_code, "Retry-After" in refused) == (429, True)
