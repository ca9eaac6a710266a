"""The policy editor: form fields for every rule type, several rules, and each rule as a sentence."""

import json
import re
from typing import Annotated
from urllib.parse import urlencode

import pytest
from django.forms import MultiWidget
from django.utils.datastructures import MultiValueDict
from pydantic import Field

from core.zones import zone_names
from developers.acting import as_developer
from policies.models import Policy
from policies.rules import RULES
from policies.rules.parsing import MAX_RULES_BYTES, parse_rule
from policies.services import create_policy, update_policy
from server.front.bounds import MAX_PAGE_BODY
from tests.policies.test_cases import ONE_OF_EACH
from tests.shared import cases
from tests.web.browser import pseudo
from tests.web.markup import main_of, words_of
from tests.world import ANONYMOUS, make_agent
from web.portal.policies.condition_forms import ConditionsWidget, read_condition, show_condition
from web.portal.policies.outlines import OUTLINES
from web.portal.policies.rule_forms import form_class, rule_kinds

RATE_LIMIT = {
    "type": "rate_limit",
    "maxRequests": "20",
    "windowSeconds_count": "2",
    "windowSeconds_unit": "3600",
    "scope": "per_user",
}
TIME_WINDOW = {
    "type": "time_window",
    "allowedDays": ["1", "2", "3", "4", "5"],
    "startTimeUtc": "08:00",
    "endTimeUtc": "18:00",
    "timezone": "Europe/Berlin",
}
ALLOWLIST = {"type": "action_allowlist", "actions": "email:read\r\n payments:* \r\n\r\n"}
BLOCKLIST = {"type": "action_blocklist", "actions": "email:send"}
ADDRESSES = {"type": "ip_allowlist", "cidrs": "203.0.113.0/24\n2001:db8::/32"}
CONDITIONS = {
    "type": "context_match",
    "conditions-0-field": "recipient",
    "conditions-0-operator": "ends_with",
    "conditions-0-value": "@acme.com",
    "conditions-1-field": "",
    "conditions-1-operator": "equals",
    "conditions-1-value": "",
    "conditions-2-field": "target",
    "conditions-2-operator": "in",
    "conditions-2-value": "a\r\n \u00fc \r\n",
}


def condition(field, operator, value):
    row = {"conditions-0-field": field, "conditions-0-operator": operator, "conditions-0-value": value}
    return {"type": "context_match", **row}


CASES = [
    (
        RATE_LIMIT,
        {"maxRequests": 20, "windowSeconds": 7200, "scope": "per_user"},
        "At most 20 times per 2 hours",
    ),
    (
        TIME_WINDOW,
        {
            "allowedDays": [1, 2, 3, 4, 5],
            "startTimeUtc": "08:00",
            "endTimeUtc": "18:00",
            "timezone": "Europe/Berlin",
        },
        "Only Monday to Friday, from 08:00 to 18:00",
    ),
    (
        ALLOWLIST,
        {"actions": ["email:read", "payments:*"]},
        "Only these are allowed: “Read your email” and everything in “Payments”",
    ),
    (
        BLOCKLIST,
        {"actions": ["email:send"]},
        "Never allowed: “Send email as you”",
    ),
    (
        ADDRESSES,
        {"cidrs": ["203.0.113.0/24", "2001:db8::/32"]},
        "Only from these internet addresses: 203.0.113.0/24 or 2001:db8::/32",
    ),
    (
        CONDITIONS,
        {
            "conditions": [
                {"field": "recipient", "operator": "ends_with", "value": "@acme.com"},
                {"field": "target", "operator": "in", "values": ["a", "\u00fc"]},
            ]
        },
        "Only if recipient ends with @acme.com and target is a or \u00fc",
    ),
]


def shown_in(form):
    """Return the data that a browser submits for an unchanged form."""
    sent = MultiValueDict()
    for bound in form:
        widget, value = bound.field.widget, bound.value()
        if isinstance(widget, ConditionsWidget):
            sent.update(rows_of(bound.html_name, value))
            continue
        parts = widget.decompress(value) if isinstance(widget, MultiWidget) else [value]
        names = widget.widgets_names if isinstance(widget, MultiWidget) else [""]
        for name, part in zip(names, parts, strict=True):
            sent.setlist(bound.html_name + name, part if isinstance(part, list) else [part])
    return sent


def rows_of(name, conditions):
    """Return what a browser submits for the rows of these conditions."""
    return {
        f"{name}-{number}-{part}": text
        for number, condition in enumerate(conditions)
        for part, text in zip(("field", "operator", "value"), show_condition(condition), strict=True)
    }


def form_of(*rules, **fields):
    """Return the data that a browser submits for these rules."""
    sent = {"name": "Mine", "description": "", "agent": "", "status": "enforced", **fields}
    for index, rule in enumerate(rules):
        sent |= {f"rules-{index}-{name}": value for name, value in rule.items()}
    return sent


@pytest.fixture
def policy(developer):
    return make_policy(developer)


def make_policy(developer, **fields):
    rules = [{"type": "action_blocklist", "config": {"actions": ["email:send"]}}]
    actor = as_developer(ANONYMOUS, developer)
    fields = {"name": "No mail", "rules": rules, **fields}
    return create_policy(actor=actor, organization=developer.organization, **fields)


@cases(("sent", "config", "sentence"), CASES, ids=lambda case: str(case)[:20])
def test_each_rule_type_is_saved_and_shown_as_a_sentence(as_developer, sent, config, sentence):
    response = as_developer.post("/developer/policies/new", form_of(sent))
    policy = Policy.objects.get(name="Mine")
    assert (response.status_code, response["Location"]) == (303, f"{as_developer.home}/policies/{policy.id}")
    assert policy.rules == [{"type": sent["type"], "config": config}]
    for page in (response["Location"], f"{as_developer.home}/policies"):
        assert sentence in words_of(as_developer.get(page))
        assert all(f">{action}</code>" in words_of(as_developer.get(page)) for action in config.get("actions", ()))


@cases(("sent", "config", "sentence"), CASES, ids=lambda case: str(case)[:20])
def test_the_edit_form_shows_the_saved_values_of_each_rule_type(as_developer, developer, sent, config, sentence):
    policy = make_policy(developer, rules=[{"type": sent["type"], "config": config}])
    page = as_developer.get(f"/developer/policies/{policy.id}/edit")
    form = page.context["editor"].rules[0]
    again = shown_values(form)
    assert again == {
        name: "\n".join(value) if name in ("actions", "cidrs") else value for name, value in config.items()
    }


def shown_values(form):
    """Return what the edit form shows of each field that the rule has."""
    shown = {name: field.prepare_value(form.get_initial_for_field(field, name)) for name, field in form.fields.items()}
    return {name: value for name, value in shown.items() if value not in (None, "", ())}


@cases("rule", ONE_OF_EACH, ids=lambda rule: rule.type)
def test_submitting_an_unchanged_form_changes_nothing(rule):
    shown = form_class(rule.type)(initial=rule.model_dump(mode="json"), prefix="rules-0")
    sent = form_class(rule.type)(shown_in(shown), prefix="rules-0")
    assert sent.is_valid(), sent.errors
    assert parse_rule(sent.raw()) == rule


@cases("value", ["a", "5", 5, -5, "true", True, False, '"quoted"', "007", "50.00", "5\u00fc"])
@cases(("operator", "name"), [("equals", "value"), ("in", "values")])
def test_a_condition_keeps_the_kind_of_its_value(operator, name, value):
    condition = {"field": "a.b", "operator": operator, name: [value, "x"] if name == "values" else value}
    assert read_condition(*show_condition(condition)) == condition


def test_a_condition_without_a_value_has_none():
    assert read_condition("a", "exists", " ") == {"field": "a", "operator": "exists"}


def test_a_preview_shows_each_rule_in_words_and_what_is_wrong(as_developer):
    sent = form_of(
        RATE_LIMIT, {**BLOCKLIST, "actions": "email:red"}, {**ADDRESSES, "cidrs": "203.0.113.9/24"}, {"type": "cedar"}
    )
    response = as_developer.post("/developer/policies/new", {**sent, "add": "", "name": ""})
    assert response.status_code == 200
    limit, blocked, addresses, cedar = response.context["editor"].rules
    assert (limit.wording, limit.problem) == ("At most 20 times per 2 hours (each user separately)", "")
    assert blocked.wording == "Never allowed: email:red"
    assert blocked.problem.startswith('Line 1: "email:red" is neither')
    assert '"email:read"' in blocked.problem
    assert (addresses.wording, addresses.problem[:8]) == ("", "Line 1: ")
    assert (cedar.wording, cedar.problem) == ("Only what the Cedar policy permits: …", "")
    assert "Still missing: Policy" in words_of(response)


@cases(
    ("sent", "words", "missing"),
    [
        ({**RATE_LIMIT, "maxRequests": ""}, "At most … requests per 2 hours, per user", ["Maximum requests"]),
        ({"type": "rate_limit"}, "At most … requests per …, …", ["Maximum requests", "Period", "Counted"]),
        ({**BLOCKLIST, "actions": ""}, "Never …", ["Actions, one per line"]),
        ({"type": "time_window", "startTimeUtc": "09:00"}, "Only on … from 09:00 to … (…)", ["Days", "Until"]),
    ],
)
def test_a_preview_of_an_incomplete_rule_has_gaps_and_names_what_is_missing(as_developer, sent, words, missing):
    response = as_developer.post("/developer/policies/new", {**form_of(sent), "add": "", "name": ""})
    (rule,) = response.context["editor"].rules
    assert (rule.wording, rule.problem) == (words, "")
    assert [name for name in missing if str(name) not in map(str, rule.missing)] == []


def test_each_outline_has_the_fields_of_its_rule():
    for name, template in OUTLINES.items():
        assert set(re.findall(r"%\((\w+)\)s", str(template))) <= {*form_class(name).base_fields}, name


def test_a_policy_gets_no_more_rules_than_it_can_have(as_developer):
    def added(number, button):
        return as_developer.post("/developer/policies/new", form_of(*[BLOCKLIST] * number, add=button))

    one_more = added(19, "rate_limit")
    assert [rule.rule_type for rule in one_more.context["editor"].rules] == ["action_blocklist"] * 19 + ["rate_limit"]
    assert "A policy can have at most 20 rules." in words_of(one_more)
    assert 'name="add" value="rate_limit"' not in one_more.content.decode()
    assert [rule.rule_type for rule in added(20, "rate_limit").context["editor"].rules] == ["action_blocklist"] * 20
    assert 'name="add" value="rate_limit"' in added(19, "").content.decode()


def test_of_too_many_rules_only_those_are_read_that_the_error_needs(as_developer):
    sent = form_of(**{f"rules-{number}-type": "time_window" for number in range(980)})
    for button in ({}, {"add": "rate_limit"}):
        page = post_as_browsers_do(as_developer, {**sent, **button})
        assert 20 <= len(page.context["editor"].rules) <= 21
    saved = as_developer.post("/developer/policies/new", form_of(*[BLOCKLIST] * 21))
    assert saved.status_code == 422
    assert "At most 20 rules." in words_of(saved)
    assert not Policy.objects.exists()


def post_as_browsers_do(client, form):
    """Post a form that is too long for the test client's own encoding."""
    return client.post("/developer/policies/new", urlencode(form, doseq=True), "application/x-www-form-urlencoded")


def test_the_form_of_the_largest_policy_fits_into_a_request(as_developer):
    """Of each rule, a browser sends more than the JSON has: the names of its fields, and three characters per byte."""
    small = [{"field": "a", "operator": "equals", "value": "\u20ac"}] * 20
    long = [{"field": "a", "operator": "equals", "value": "\u20ac" * 150}] * 20
    rules = [small] * 11 + [long] * 5
    raw = [{"type": "context_match", "config": {"conditions": each}} for each in rules]
    assert 0.9 < len(json.dumps(raw, ensure_ascii=False, separators=(",", ":")).encode()) / MAX_RULES_BYTES <= 1
    form = form_of(*({"type": "context_match", **rows_of("conditions", each)} for each in rules))
    page = post_as_browsers_do(as_developer, form)
    assert len(urlencode(form, doseq=True)) < MAX_PAGE_BODY
    assert page.status_code == 303


def test_so_does_the_form_of_the_policy_with_most_fields(as_developer):
    conditions = rows_of("conditions", [{"field": "a", "operator": "equals", "value": "b"}] * 20)
    form = form_of(*[{"type": "context_match", **conditions}] * 20)
    assert post_as_browsers_do(as_developer, form).status_code == 303
    assert [len(rule["config"]["conditions"]) for rule in Policy.objects.get().rules] == [20] * 20


def rows_in(page):
    return page.content.decode().count('class="conditions__row"')


def test_a_rule_gets_no_more_conditions_than_it_can_have(as_developer):
    def sent(number, **fields):
        conditions = [{"field": "target", "operator": "equals", "value": "x"}] * number
        rule = {"type": "context_match", **rows_of("conditions", conditions)}
        return post_as_browsers_do(as_developer, form_of(rule, **fields))

    assert [rows_in(sent(number, add="")) for number in (18, 19, 20, 300)] == [19, 20, 20, 21]
    full = "A rule can have at most 20 conditions."
    assert [full in words_of(sent(number, add="")) for number in (19, 20)] == [False, True]
    saved = sent(21)
    assert saved.status_code == 422
    assert "at most 20" in words_of(saved).replace(full, "")
    assert sent(20).status_code == 303


def test_a_preview_says_what_is_wrong_with_a_number(as_developer):
    sent = form_of({**RATE_LIMIT, "maxRequests": "0"}, {**RATE_LIMIT, "windowSeconds_count": ""}, add="")
    response = as_developer.post("/developer/policies/new", sent)
    assert response.status_code == 200
    zero, missing = response.context["editor"].rules
    assert zero.problem == "Maximum requests: Ensure this value is greater than or equal to 1."
    assert missing.problem == ""


@cases("rule_type", sorted(RULES))
def test_a_new_rule_has_no_errors_yet(as_developer, rule_type):
    response = as_developer.post("/developer/policies/new", form_of(add=rule_type))
    assert [rule.problem for rule in response.context["editor"].rules] == [""]


def test_an_added_rule_gets_the_focus(as_developer):
    text = words_of(as_developer.post("/developer/policies/new", form_of(BLOCKLIST, add="rate_limit")))
    assert text.index("Blocked actions") < text.index(" autofocus>") < text.index("Rate limit</legend>")
    assert text.count(" autofocus>") == 1


def test_a_sunday_stored_as_0_is_ticked(as_developer, developer):
    config = {**CASES[1][1], "allowedDays": [0, 6]}
    policy = make_policy(developer, rules=[{"type": "time_window", "config": config}])
    page = as_developer.get(f"/developer/policies/{policy.id}/edit")
    form = page.context["editor"].rules[0]
    assert form["allowedDays"].value() == [7, 6]


def test_several_rules_are_kept_in_order(as_developer):
    as_developer.post("/developer/policies/new", form_of(RATE_LIMIT, BLOCKLIST, RATE_LIMIT))
    types = [rule["type"] for rule in Policy.objects.get(name="Mine").rules]
    assert types == ["rate_limit", "action_blocklist", "rate_limit"]


def test_adding_a_rule_keeps_the_input_and_saves_nothing(as_developer):
    sent = form_of(BLOCKLIST, add="rate_limit", name="")
    response = as_developer.post("/developer/policies/new", sent)
    assert response.status_code == 200
    text = words_of(response)
    assert 'name="rules-1-type" value="rate_limit"' in text
    assert "email:send</textarea>" in text
    assert "This field is required" not in text
    assert "Never allowed: email:send." in text
    assert "At most … requests per day, per user." in text
    assert "Still missing: Maximum requests<" in text
    assert not Policy.objects.exists()


def test_removing_a_rule_keeps_the_others(as_developer):
    sent = form_of(BLOCKLIST, ALLOWLIST, ADDRESSES, remove="1")
    response = as_developer.post("/developer/policies/new", sent)
    assert [form.rule_type for form in response.context["editor"].rules] == ["action_blocklist", "ip_allowlist"]
    assert not Policy.objects.exists()


def test_the_number_of_a_removed_rule_is_not_reused(as_developer):
    sent = {key.replace("rules-0", "rules-5"): value for key, value in form_of(BLOCKLIST).items()}
    response = as_developer.post("/developer/policies/new", {**sent, "add": "rate_limit"})
    assert [form.number for form in response.context["editor"].rules] == ["5", "6"]


@cases("sent", [{"add": "made_up"}, {"remove": "x"}, {"rules-0-type": "made_up"}])
def test_unknown_rules_are_neither_added_nor_removed(as_developer, sent):
    response = as_developer.post("/developer/policies/new", {**form_of(name=""), **sent})
    assert response.status_code in (200, 422)
    assert response.context["editor"].rules == []


@cases(
    ("sent", "message"),
    [
        ({**RATE_LIMIT, "maxRequests": "0"}, "Maximum requests: "),
        ({**RATE_LIMIT, "windowSeconds_count": ""}, "Period: "),
        ({**RATE_LIMIT, "windowSeconds_count": "31", "windowSeconds_unit": "86400"}, "Period: "),
        ({**TIME_WINDOW, "allowedDays": []}, "Days: "),
        ({**TIME_WINDOW, "endTimeUtc": "08:00"}, "Time window, Until: "),
        ({**TIME_WINDOW, "startTimeUtc": "25:00"}, "From: "),
        ({**TIME_WINDOW, "timezone": "Mars/Base"}, "Time zone: "),
        ({**ADDRESSES, "cidrs": "203.0.113.0/24\nnonsense"}, "IP address ranges, one per line: Line 2: "),
        ({**BLOCKLIST, "actions": "a*b"}, "Actions, one per line: Line 1: "),
        (condition("", "equals", "x"), "Conditions: Item 1, field: "),
        (condition("a", "equals", ""), "Conditions: Item 1, value: This field is required"),
        (condition("a", "in", "1\r\nb"), "Conditions: Item 1, values: Must all be strings"),
        (condition("a", "at_most", "x"), "Conditions: Item 1, value: Must be a whole number"),
        (condition("a", "made_up", "x"), "Conditions: Item 1, operator: "),
        ({"type": "context_match"}, "Conditions: "),
    ],
)
def test_errors_name_their_field(as_developer, sent, message):
    response = as_developer.post("/developer/policies/new", form_of(sent))
    assert response.status_code == 422
    text = words_of(response)
    assert text.index('id="errors"') < text.index(message)
    assert not Policy.objects.exists()


@cases("button", [{}])
def test_all_errors_are_shown_at_once(as_developer, button):
    rules = (
        {**BLOCKLIST, "actions": "emial:read"},
        {**RATE_LIMIT, "maxRequests": "", "actions": "emial:list"},
        {**ADDRESSES, "cidrs": "203.0.113.0/24\nnonsense"},
        {**BLOCKLIST, "actions": "email:read\nemial:send"},
    )
    response = as_developer.post("/developer/policies/new", form_of(*rules, **{**button, "name": ""}))
    assert response.status_code == 422
    text = words_of(response)
    listed = text[text.index('id="errors"') : text.index("</ul>", text.index('id="errors"'))]
    assert "Name: This field is required." in listed
    assert 'Line 1: "emial:read" is neither' in listed
    assert "Maximum requests: This field is required." in listed
    assert "Line 2: " in listed
    assert 'Line 2: "emial:send" is neither' in listed
    assert 'Line 1: "emial:list" is neither' in listed
    assert listed.count("<li>") == 6


@cases(
    "sent",
    [
        {**TIME_WINDOW, "timezone": "Mars/Base"},
        {**ADDRESSES, "cidrs": "203.0.113.9/24"},
        {**BLOCKLIST, "actions": "nonsense:do"},
        condition("a", "nonsense", "x"),
        {"type": "cedar", "policy": "permit (principal, action, resource) when {context.x};"},
    ],
)
def test_errors_are_in_the_users_language(as_developer, sent, monkeypatch):
    pseudo.speak(monkeypatch)
    text = words_of(as_developer.post("/developer/policies/new", form_of(sent)))
    errors = text[text.index('id="errors"') :].partition("</ul>")[0]
    assert not re.search(r"\b(Must|Has|Use|is neither|unknown|Line)\b", errors)
    assert errors.count("⟦") > 3


def test_a_policy_can_be_for_one_of_the_organizations_agents(as_developer, agent, rival):
    as_developer.post("/developer/policies/new", form_of(BLOCKLIST, agent=agent.id))
    assert Policy.objects.get(name="Mine").agent == agent
    foreign = make_agent(rival)
    response = as_developer.post("/developer/policies/new", form_of(BLOCKLIST, agent=foreign.id, name="Other"))
    assert response.status_code == 422
    assert not Policy.objects.filter(name="Other").exists()


def test_a_policy_can_be_edited_and_disabled(as_developer, policy):
    sent = form_of(ADDRESSES, name="Renamed", status="off", version=policy.version)
    response = as_developer.post(f"/developer/policies/{policy.id}/edit", sent)
    assert response.status_code == 303
    policy.refresh_from_db()
    assert (policy.name, policy.enabled, policy.rules[0]["type"]) == ("Renamed", False, "ip_allowlist")


def test_a_change_to_an_older_version_is_refused_once(as_developer, policy):
    """Another tab, or a colleague, has saved the policy meanwhile. What was typed stays."""
    url = f"/developer/policies/{policy.id}/edit"
    opened = as_developer.get(url).context["version"]
    update_policy(actor=ANONYMOUS, policy=policy, changes={"rules": []})
    sent = {"name": "Mine", "status": "enforced", "version": opened}
    added = as_developer.post(url, {**sent, "add": "ip_allowlist"})
    assert added.context["version"] == opened
    refused = as_developer.post(url, sent)
    assert refused.status_code == 422
    assert "The policy was changed after you opened it." in words_of(refused)
    assert 'value="Mine"' in refused.content.decode()
    policy.refresh_from_db()
    assert policy.name != "Mine"
    assert as_developer.post(url, {**sent, "version": refused.context["version"]}).status_code == 303
    policy.refresh_from_db()
    assert policy.name == "Mine"


@cases("version", [None, "x", "-1"])
def test_a_change_to_an_unknown_version_is_refused(as_developer, policy, version):
    sent = {"name": "Mine", "status": "enforced", **({"version": version} if version else {})}
    refused = as_developer.post(f"/developer/policies/{policy.id}/edit", sent)
    assert refused.status_code == 422
    assert refused.context["version"] == policy.version


@cases(
    ("status", "effect"),
    [
        ("enforced", "It applies to every check from now on."),
        ("shadow", "From now on, it records what it would deny, and denies nothing."),
        ("off", "It is switched off: no check uses it."),
    ],
)
def test_the_answer_says_what_the_policy_does_now(as_developer, policy, status, effect):
    url = f"/developer/policies/{policy.id}/edit"
    page = as_developer.post(url, {"name": "Mine", "status": status, "version": policy.version}, follow=True)
    assert f"Policy saved. {effect}" in words_of(page)


def test_the_answer_says_which_agent_a_policy_is_about(as_developer, developer, policy):
    sent = {"name": "Mine", "status": "enforced", "agent": make_agent(developer).id, "version": "1"}
    page = as_developer.post(f"/developer/policies/{policy.id}/edit", sent, follow=True)
    assert "Policy saved. It applies to every check of this agent from now on." in words_of(page)


def test_the_offered_time_zones_are_those_of_the_other_pages_and_others_are_kept(as_developer, developer):
    config = {"allowedDays": [1], "startTimeUtc": "09:00", "endTimeUtc": "17:00", "timezone": "US/Pacific"}
    policy = make_policy(developer, rules=[{"type": "time_window", "config": config}])
    page = as_developer.get(f"/developer/policies/{policy.id}/edit")
    html = page.content.decode()
    offered = html.partition('<datalist id="time-zones">')[2].partition("</datalist>")[0]
    assert re.findall(r'value="([^"]+)"', offered) == list(zone_names())
    assert 'value="US/Pacific"' in html
    sent = {**form_of({**TIME_WINDOW, "timezone": "US/Pacific"}), "version": page.context["version"]}
    assert as_developer.post(f"/developer/policies/{policy.id}/edit", sent).status_code == 303
    policy.refresh_from_db()
    assert policy.rules[0]["config"]["timezone"] == "US/Pacific"


def test_a_policy_can_only_record(as_developer, policy):
    as_developer.post(
        f"/developer/policies/{policy.id}/edit", form_of(ADDRESSES, status="shadow", version=policy.version)
    )
    policy.refresh_from_db()
    assert policy.mode == "shadow"
    assert "Only records" in words_of(as_developer.get(f"/developer/policies/{policy.id}"))


def names_on(response):
    return [policy.name for policy, _sentences, _more in response.context["policies"]]


@cases(
    ("query", "names"),
    [
        ("", ["Trial", "Hours", "No mail"]),
        ("q=MAIL", ["Trial", "No mail"]),
        ("q=payments:charge", ["Trial"]),
        ("q=pol_none", []),
        ("status=enforced", ["No mail"]),
        ("status=shadow", ["Trial"]),
        ("status=off", ["Hours"]),
        ("status=made-up", []),
        ("status=off&agent=nobody", []),
        ("agent=Mailbot", ["Trial", "Hours", "No mail"]),
        ("agent=Other", ["Hours", "No mail"]),
        ("q=%00", ["Trial", "Hours", "No mail"]),
    ],
)
def test_the_list_is_filtered_by_the_url(as_developer, developer, policy, query, names):
    mailbot = make_agent(developer, name="Mailbot")
    make_agent(developer, name="Other")
    make_policy(developer, name="Hours", description="", enabled=False, rules=[])
    rules = [{"type": "action_blocklist", "config": {"actions": ["payments:charge"]}}]
    make_policy(developer, name="Trial", description="About mail", mode="shadow", agent=mailbot, rules=rules)
    assert names_on(as_developer.get(f"/developer/policies?{query}")) == names


def test_the_list_finds_a_policy_by_its_id(as_developer, developer, policy):
    make_policy(developer, name="Other")
    assert names_on(as_developer.get(f"/developer/policies?q={policy.id}")) == ["No mail"]


def test_deleting_needs_a_confirmation(as_developer, policy):
    url = f"/developer/policies/{policy.id}/delete"
    assert "Delete No mail?" in words_of(as_developer.get(url))
    assert Policy.objects.exists()
    response = as_developer.post(url)
    assert (response.status_code, response["Location"]) == (303, f"{as_developer.home}/policies")
    assert not Policy.objects.exists()


@cases("button", [{}, {"add": "rate_limit"}, {"replay": "7"}, {"try": "open"}])
def test_what_was_typed_for_a_deleted_policy_becomes_a_new_one(as_developer, policy, button):
    path = f"/developer/policies/{policy.id}/edit"
    sent = form_of(ADDRESSES, name="Mine", version=policy.version)
    as_developer.post(f"/developer/policies/{policy.id}/delete")
    response = as_developer.post(path, {**sent, **button})
    text = words_of(response)
    assert response.status_code == 404
    assert "This policy no longer exists." in text
    assert 'value="Mine"' in text
    assert f'action="{as_developer.home}/policies/new"' in text
    assert 'name="version"' not in text
    assert not Policy.objects.exists()
    assert as_developer.get(path).status_code == 404
    del sent["version"]
    assert as_developer.post("/developer/policies/new", sent).status_code == 303
    assert Policy.objects.get().name == "Mine"


@pytest.mark.parametrize("page", ["", "/edit", "/delete"])
def test_another_organizations_policy_looks_like_one_that_does_not_exist(as_rival, policy, page):
    theirs, none = (as_rival.get(f"/developer/policies/{one}{page}") for one in (policy.id, "pol_0000"))
    assert theirs.status_code == none.status_code == 404
    assert main_of(theirs.content.decode()) == main_of(none.content.decode())


@pytest.mark.parametrize("page", ["/edit", "/delete"])
def test_another_organization_cannot_change_it(as_rival, policy, page):
    response = as_rival.post(f"/developer/policies/{policy.id}{page}", form_of(ADDRESSES))
    assert response.status_code == 404
    policy.refresh_from_db()
    assert policy.name == "No mail"


def test_an_unreadable_rule_is_shown_as_denying_everything(as_developer, developer):
    policy = make_policy(developer)
    Policy.objects.filter(pk=policy.pk).update(rules=[{"type": "made_up", "config": {}}])
    assert "denies everything" in words_of(as_developer.get(f"/developer/policies/{policy.id}"))
    assert as_developer.get(f"/developer/policies/{policy.id}/edit").status_code == 200


def test_the_form_of_a_new_rule_type_comes_from_its_schema(monkeypatch):
    from policies.rules.base import Rule
    from policies.rules.fields import Seconds

    class Budget(Rule):
        type = "budget"
        title = "Budget"
        currency: str
        cents: int = 5
        tags: tuple[str, ...] = ()
        hard: Annotated[bool, Field(title="Hard limit", description="No overdraft.")]
        note: str | None = None
        pause: Seconds = 60

        def check(self, ctx):
            return None

        def sentence(self):
            return "a budget"

    monkeypatch.setitem(RULES, "budget", Budget)
    assert {kind.name for _group, kinds in rule_kinds() for kind in kinds} == RULES.keys()
    sent = {"currency": "EUR", "cents": "7", "tags": "a\nb", "pause_count": "", "pause_unit": "60"}
    form = form_class("budget")(sent)
    assert form.is_valid()
    assert form.raw() == {
        "type": "budget",
        "config": {"currency": "EUR", "cents": 7, "tags": ["a", "b"], "hard": False},
    }
    assert (form.title, form["hard"].label, form["hard"].help_text) == ("Budget", "Hard limit", "No overdraft.")
    assert form["tags"].label == "Tags, one per line"


def test_an_unknown_action_is_reported_with_its_line(as_developer):
    sent = form_of({**BLOCKLIST, "actions": "email:read\nemial:send"})
    text = words_of(as_developer.post("/developer/policies/new", sent))
    assert 'Line 2: "emial:send" is neither in the catalogue' in text
    assert 'Did you mean "email:send"?' in text
    assert not Policy.objects.exists()
