"""Trying a policy that is not saved with one request: the trace, what the form keeps, and that nothing is written."""

import pytest

from developers.acting import as_developer as acting_as
from limits.models import Counter
from policies.models import Policy, PolicyVersion
from policies.services import create_policy
from tests.log import log_entries
from tests.shared import cases
from tests.web.markup import words_of
from tests.web.portal.policies.test_developer_policies import BLOCKLIST, RATE_LIMIT, form_of
from tests.world import ANONYMOUS, make_agent, make_developer

NEW = "/developer/policies/new"
OFFICE = {"type": "ip_allowlist", "config": {"cidrs": ["203.0.113.0/24"]}}
ONCE = {"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 7200, "scope": "per_agent"}}


def make_policy(developer, *rules, **fields):
    actor, fields = acting_as(ANONYMOUS, developer), {"name": "Other", **fields}
    return create_policy(actor=actor, organization=developer.organization, rules=list(rules), **fields)


@pytest.fixture
def attempt(as_developer, agent):
    """Return a function that tries the form with a request of the agent."""

    def attempt(*rules, url=NEW, pressed="run", asked=None, **fields):
        request = {"agent": agent.id, "scopes": "email:send", **(asked or {})}
        typed = {f"try-{name}": value for name, value in request.items()}
        return as_developer.post(url, form_of(*rules, **{"try": pressed, "trying": "1"}, **typed, **fields))

    return attempt


def trace(page):
    return [(str(one.policy_name), one.sentence, str(one.outcome)) for one in page.context["attempt"].verdicts]


def test_a_new_draft_decides_together_with_the_other_policies(attempt, developer):
    make_policy(developer, OFFICE)
    make_policy(developer, OFFICE, name="Off", enabled=False)
    entries = log_entries().count()
    page = attempt(BLOCKLIST, RATE_LIMIT, name="")
    assert page.status_code == 200
    assert (page.context["attempt"].outcome, trace(page)) == (
        "denied",
        [
            ("This draft", "Never allowed: email:send", "Denies"),
            ("Other", "Only from these internet addresses: 203.0.113.0/24", "Denies"),
            ("This draft", "At most 20 times per 2 hours (each user separately)", "Allows"),
        ],
    )
    other = Policy.objects.get(name="Other")
    assert f'/policies/{other.id}"' in words_of(page)
    assert (Policy.objects.count(), log_entries().count()) == (2, entries)
    assert not Counter.objects.filter(key__contains="draft").exists()


def test_a_changed_draft_takes_the_place_of_its_policy(attempt, developer):
    policy = make_policy(developer, OFFICE, name="Mine")
    page = attempt(BLOCKLIST, url=f"/developer/policies/{policy.id}/edit", asked={"scopes": "email:read"})
    assert (page.context["attempt"].outcome, trace(page)) == (
        "passed",
        [("This draft", "Never allowed: email:send", "Allows")],
    )
    policy.refresh_from_db()
    assert (policy.rules, PolicyVersion.objects.count()) == ([OFFICE], 1)


def test_a_request_that_was_handed_over_is_tried_for_each_agent_of_its_chain(attempt, developer, agent):
    above = make_agent(developer, name="Giver")
    make_policy(developer, OFFICE, name="Of the giver", agent=above)
    rule = {"type": "delegation", "maxDepth": "1"}
    page = attempt(rule, asked={"chain": "Giver"})
    assert trace(page) == [
        ("Of the giver", "Only from these internet addresses: 203.0.113.0/24", "Denies"),
        ("This draft", "Work that another agent handed over: at most 1 hand-over", "Allows"),
    ]
    foreign = f"agt_{'0' * 32} org_{'0' * 32}"
    assert page.context["attempt"].outcome == "denied"
    page = attempt(rule, asked={"chain": f"{foreign}\n{above.client_id}"})
    assert ("This draft", "Work that another agent handed over: at most 1 hand-over", "Denies") in trace(page)
    make_agent(developer, name="Twin")
    make_agent(developer, name="Twin")
    for chain, said in (
        ("Twin", "Several of your agents are called “Twin”. Enter the ID of one."),
        (agent.id, "No agent can be in a chain twice."),
        ("Unknown\x00", "is not one of your agents"),
        ("\n".join(["Giver"] * 5), "At most 4 agents."),
    ):
        assert said in words_of(attempt(rule, asked={"chain": chain}))


def test_nothing_that_was_typed_is_lost(attempt):
    typed = {"resource": "mailbox/7", "context": '{"recipient": "ada@example.com"}', "scopes": "email:read"}
    for pressed in ("run", "other"):
        page = attempt(BLOCKLIST, pressed=pressed, name="Mine", description="Why", asked=typed)
        editor, form = page.context["editor"], page.context["attempt"].form
        assert (editor.fields["name"].value(), editor.fields["description"].value()) == ("Mine", "Why")
        assert [rule["actions"].value() for rule in editor.rules] == ["email:send"]
        assert {name: form[name].value() for name in typed} == typed


def test_the_section_stays_open_until_it_is_closed(as_developer, agent):
    sent = form_of(BLOCKLIST, agent=agent.id)
    opened = as_developer.post(NEW, {**sent, "try": "open"})
    assert opened.context["attempt"].form["agent"].value() == agent.id
    assert 'hidden name="try" value="run"' in opened.content.decode()  # Enter must not save what is only tried
    kept = {**sent, "trying": "1", "try-scopes": "email"}
    preview = as_developer.post(NEW, {**kept, "add": ""})
    assert preview.status_code == 200
    assert preview.context["attempt"].form["scopes"].value() == "email"
    closed = as_developer.post(NEW, {**kept, "try": "close"})
    assert closed.context["attempt"].form is None
    assert 'hidden name="try"' not in closed.content.decode()
    assert not Policy.objects.exists()
    assert as_developer.post(NEW, kept).status_code == 303
    assert Policy.objects.get().agent == agent


@cases(
    ("fields", "asked", "said"),
    [
        ({"actions": "emial:send"}, {}, 'Did you mean "email:send"?'),
        ({"actions": "pay*ments"}, {}, "Use * only at the end"),
        ({}, {"scopes": ""}, "Request, Required scopes: This field is required."),
        ({}, {"agent": "nobody"}, "Request, Agent: No agent has this name"),
        ({}, {"context": "["}, "Request, Context, as JSON: Must be JSON"),
    ],
)
def test_what_is_not_valid_is_not_tried(attempt, fields, asked, said):
    page = attempt({**BLOCKLIST, **fields}, asked=asked)
    assert page.status_code == 422
    assert said in words_of(page)
    assert page.context["attempt"].outcome == ""


def test_more_rules_than_a_policy_may_have_are_not_tried(attempt):
    rules = dict(enumerate([BLOCKLIST] * 21))
    sent = {f"rules-{place}-{name}": value for place, rule in rules.items() for name, value in rule.items()}
    page = attempt({}, **sent)
    assert page.status_code == 422
    assert page.context["attempt"].outcome == ""


def test_a_draft_for_another_agent_says_nothing(attempt, developer):
    other = make_agent(developer, name="Someone else")
    assert trace(attempt(BLOCKLIST, agent=other.id)) == []
    foreign = make_agent(make_developer("third@example.com", "Third"))
    assert attempt(BLOCKLIST, agent=foreign.id).status_code == 422
    assert attempt(BLOCKLIST, asked={"agent": foreign.id}).status_code == 422


def test_a_draft_that_is_not_enabled_is_tried_as_if_it_were(attempt):
    page = attempt(BLOCKLIST, status="shadow")
    assert page.context["attempt"].outcome == "denied"
    assert "as if the draft were enabled" in words_of(page)


def test_attempts_are_throttled_with_simulations(attempt, monkeypatch):
    monkeypatch.setattr("decisions.whatif.simulation.SIMULATION_RATE", "1/hour")
    assert attempt(BLOCKLIST).context["attempt"].outcome == "denied"
    page = attempt(BLOCKLIST)
    assert page.status_code == 422
    assert "Too many attempts" in words_of(page)


def test_many_rules_are_counted_not_listed(attempt, developer, monkeypatch):
    monkeypatch.setattr("web.portal.policies.trying.MOST_LISTED", 1)
    make_policy(developer, ONCE, OFFICE)
    page = attempt(BLOCKLIST)
    assert len(trace(page)) == 1
    assert "And 2 more rules." in words_of(page)
