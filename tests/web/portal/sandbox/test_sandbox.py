"""The pages of the sandbox."""

import pytest

from audit.events import Event
from consent.terms import GivenTerms
from decisions.whatif.sandbox import record_trial
from developers.acting import as_developer as acting_for
from policies.services import create_policy
from tests.log import log_entries
from tests.web.markup import text_of
from tests.world import ANONYMOUS, make_agent

READ, SEND = "email:read", "email:send"


@pytest.fixture
def url(agent):
    return f"/developer/agents/{agent.id}/try"


@pytest.fixture
def start(as_developer, url):
    def start(*scopes, **fields):
        return as_developer.post(url, {"decision": "allow", "scopes": scopes, **fields})

    return start


def test_a_trial_leads_from_the_screen_to_a_denial_that_is_explained(as_developer, start, developer, agent):
    actor = acting_for(ANONYMOUS, developer)
    rules = [{"type": "action_blocklist", "config": {"actions": [SEND]}}]
    policy = create_policy(actor=actor, organization=developer.organization, name="Quiet", rules=rules)
    trial = start(READ, SEND)["Location"]
    answer = as_developer.post(trial, {"scope": SEND, "action": "", "context": '{"recipient": "ada@example.com"}'})
    assert answer.status_code == 303
    text = text_of(as_developer, trial)
    assert "A policy denied it." in text
    assert f'href="/developer/policies/{policy.id}"' in text
    assert "ada@example.com" in text  # the question can be changed and asked again


def test_a_trial_tells_a_missing_permission_from_an_action_that_no_scope_covers(as_developer, start):
    trial = start(READ)["Location"]
    as_developer.post(trial, {"scope": SEND})
    assert "The permission had not been granted." in text_of(as_developer, trial)
    as_developer.post(trial, {"scope": READ, "action": "payments:refund"})
    assert "No scope covers the action." in text_of(as_developer, trial)


def test_trials_are_throttled_by_organization(as_developer, start, settings):
    settings.THROTTLE_TRIALS = "2/hour"
    trial = start(READ)["Location"]
    question = {"scope": READ, "action": "", "context": "{}"}
    assert as_developer.post(trial, question).status_code == 303
    assert as_developer.post(trial, question).status_code == 429
    assert start(READ).status_code == 429
    assert log_entries(event__startswith="sandbox.").count() == 2


def trace(page):
    return [(str(one.policy_name), one.sentence, str(one.outcome), one.is_decisive) for one in page.context["verdicts"]]


def test_each_rule_says_what_it_thinks_in_the_order_of_verify(as_developer, start, developer, agent):
    def make(name, *rules, **fields):
        actor = acting_for(ANONYMOUS, developer)
        return create_policy(
            actor=actor, organization=developer.organization, name=name, rules=list(rules), agent=agent, **fields
        )

    once = {"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 3600, "scope": "per_agent"}}
    elsewhere = {"type": "ip_allowlist", "config": {"cidrs": ["192.0.2.0/24"], "actions": [READ]}}
    first = make("First", elsewhere, once)
    make("Second", {"type": "action_blocklist", "config": {"actions": ["payments:*"]}})
    make("Off", {"type": "action_blocklist", "config": {"actions": [SEND]}}, enabled=False)
    trial = start(READ, SEND, **{"mode-email:send": "ask"})["Location"]
    for _ in range(2):
        as_developer.post(trial, {"scope": SEND})
    page = as_developer.get(trial)
    own = [each for each in trace(page) if each[0] in ("First", "Second")]
    assert own == [
        ("First", "Only from 192.0.2.0/24, for email:read", "Not concerned", False),
        ("First", "At most 1 request in any hour, per agent", "Allows", False),
        ("Second", "Never payments:*", "Allows", False),
    ]
    asking = "The user is asked about each use of email:send"
    assert trace(page)[-1] == ("Chosen by the user", asking, "Asks the user", False)
    as_developer.post(trial, {"scope": READ, "context": '{"ip": "192.0.2.1"}'})
    as_developer.post(trial, {"scope": READ, "context": '{"ip": "192.0.2.1"}'})
    page = as_developer.get(trial)
    limited = "At most 1 request in any hour, per agent"
    assert [each for each in trace(page) if each[3]] == [("First", limited, "Denies", True)]
    third = page.context["trial"].questions[2]
    earlier = as_developer.get(f"{trial}?question={third.id}")
    assert trace(earlier)[1] == ("First", limited, "Allows", False)
    assert f'href="/developer/policies/{first.id}"' in page.content.decode()
    assert log_entries(event=Event.SANDBOX_VERIFY).count() == 4


def test_the_limits_of_the_user_are_in_the_trace(as_developer, developer, agent):
    daily = {"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 86400, "scope": "per_user"}}
    trial_id = record_trial(
        actor=acting_for(ANONYMOUS, developer),
        agent=agent,
        requested=[READ],
        granted=[READ],
        given=GivenTerms(limits={READ: [daily]}),
    )
    trial = f"/developer/agents/{agent.id}/try/{trial_id}"
    for outcome in ("Allows", "Denies"):
        as_developer.post(trial, {"scope": READ})
        ((name, sentence, said, is_decisive),) = trace(as_developer.get(trial))
        assert (name, said, is_decisive) == ("Limits set by the user", outcome, outcome == "Denies")
        assert sentence.startswith("At most 1 request in any day")
        assert sentence.endswith("(email:read)")


def test_a_trace_that_no_longer_explains_the_answer_is_not_shown(as_developer, start, developer):
    trial = start(READ)["Location"]
    as_developer.post(trial, {"scope": SEND})
    assert "No rule was asked: the request was denied before." in text_of(as_developer, trial)
    as_developer.post(trial, {"scope": READ})
    actor = acting_for(ANONYMOUS, developer)
    rules = [{"type": "action_blocklist", "config": {"actions": [READ]}}]
    create_policy(actor=actor, organization=developer.organization, name="Trying", rules=rules, mode="shadow")
    as_developer.post(trial, {"scope": READ})
    assert trace(as_developer.get(trial)) == []
    assert "No policy enforces a rule for this agent, and the user set none." in text_of(as_developer, trial)
    create_policy(actor=actor, organization=developer.organization, name="Quiet", rules=rules)
    assert "Ask again to see what each rule says now." in text_of(as_developer, trial)
    as_developer.post(trial, {"scope": READ})
    assert trace(as_developer.get(trial)) == [("Quiet", "Never email:read", "Denies", True)]


def test_a_misspelled_action_is_answered_with_a_hint(as_developer, start):
    trial = start(READ)["Location"]
    for action, hint in (("email:raed", 'Did you mean "email:read"?'), ("email:read", None)):
        as_developer.post(trial, {"scope": READ, "action": action})
        assert ("Did you mean" in text_of(as_developer, trial)) is bool(hint)
        assert hint is None or hint in text_of(as_developer, trial)


def test_the_screen_asks_for_what_the_address_says(as_developer, url):
    assert text_of(as_developer, url).count('name="scopes"') == 5
    chosen = text_of(as_developer, f"{url}?ask={READ}&ask={SEND}&ask=drive:read")
    assert chosen.count('name="scopes"') == 2
    answer = as_developer.post(f"{url}?ask={READ}", {"decision": "allow", "scopes": [SEND]})
    assert answer.status_code == 400  # it was not asked for
    assert not log_entries(event=Event.SANDBOX_CONSENT).exists()


def test_to_deny_is_a_trial_too(as_developer, url):
    trial = as_developer.post(url, {"decision": "deny"})["Location"]
    assert "access_denied" in text_of(as_developer, trial)
    assert 'name="scope"' not in text_of(as_developer, trial)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"decision": "allow"}, "Nothing is ticked"),
        ({"decision": "allow", "scopes": [SEND], "limit-number-email:send": "-3"}, "A limit cannot be used as it is"),
    ],
)
def test_a_decision_that_cannot_be_taken_is_shown_again_with_what_was_typed(as_developer, url, form, said):
    answer = as_developer.post(url, form)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not log_entries(event=Event.SANDBOX_CONSENT).exists()


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ("[1]", "Must be a JSON object"),
        ('{"a": ', "Must be JSON. Line 1, column"),
        ('{"ip": "here"}', "must be an IPv4 or IPv6 address"),
        ('{"a": "\\u0000"}', "Must not contain NUL characters."),
        ('{"a": ' * 900 + "1" + "}" * 900, "deep nesting"),
        ('{"a": 1152921504606846976}', "a: this number is too large"),
        ('{"a": [1e16]}', "a.0: this number is too large"),
    ],
    ids=["list", "syntax", "address", "NUL", "deep", "huge", "spelled"],
)
def test_a_context_that_is_refused_is_kept(as_developer, start, context, said):
    answer = as_developer.post(start(READ)["Location"], {"scope": READ, "context": context})
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not log_entries(event=Event.SANDBOX_VERIFY).exists()


def test_others_see_no_trial(as_rival, as_developer, start, url, world, developer):
    trial = start(READ)["Location"]
    other = make_agent(developer)
    for client, address in (
        (as_rival, url),
        (as_rival, trial),
        (as_developer, trial.replace(url.split("/")[3], other.id)),
        (as_developer, f"{url}/log_nothing"),
    ):
        assert client.get(address).status_code == 404
        assert client.post(address, {"decision": "deny", "scope": READ}).status_code == 404


def test_an_agent_without_scopes_leads_to_its_scopes(as_developer, developer):
    agent = make_agent(developer, allowed_scopes=[])
    assert "This agent has no scopes" in text_of(as_developer, f"/developer/agents/{agent.id}/try")


def test_a_suspended_agent_is_denied_in_a_trial_too(as_developer, start, agent):
    trial = start(READ)["Location"]
    as_developer.post(f"/developer/agents/{agent.id}/suspend", {"reason": ""})
    as_developer.post(trial, {"scope": READ})
    assert "The agent is suspended or stopped." in text_of(as_developer, trial)


def test_the_log_marks_the_entries_and_leads_to_the_trial(as_developer, start):
    trial = start(READ)["Location"]
    as_developer.post(trial, {"scope": SEND, "context": '{"recipient": "ada@example.com"}'})
    asked = log_entries(event=Event.SANDBOX_VERIFY).get()
    assert text_of(as_developer, "/developer/logs?event=sandbox.verify").count(">Sandbox</span>") == 1
    assert "log__time" not in text_of(as_developer, "/developer/logs?outcome=denied")
    entry = text_of(as_developer, f"/developer/logs/{asked.id}")
    assert f'href="{trial}"' in entry
    assert "ada@example.com" in entry


def test_a_rival_reads_nothing_of_a_trial(as_rival, as_developer, start):
    as_developer.post(start(READ)["Location"], {"scope": READ})
    for entry in log_entries(event__startswith="sandbox."):
        assert as_rival.get(f"/developer/logs/{entry.id}").status_code == 404
