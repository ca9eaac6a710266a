"""The history of a policy on its page: who changed it, and restoring a version."""

import pytest

from agents.deletion import delete_agent
from core.errors import Invalid
from developers.access import access_of_key
from developers.acting import as_developer as acting_as
from developers.acting import as_key
from developers.api_keys import create_api_key
from policies.models import Policy, PolicyVersion
from policies.services import create_policy, update_policy
from tests.log import log_entries, log_entry
from tests.shared import cases
from tests.web.markup import words_of
from tests.world import ANONYMOUS, make_agent, make_user

NO_MAIL = [{"type": "action_blocklist", "config": {"actions": ["email:send"]}}]
NO_PAYMENTS = [{"type": "action_blocklist", "config": {"actions": ["payments:*"]}}]


@pytest.fixture
def actor(developer):
    return acting_as(ANONYMOUS, developer)


@pytest.fixture
def policy(developer, actor):
    return create_policy(actor=actor, organization=developer.organization, name="Mine", rules=NO_MAIL)


def change(policy, actor, **changes):
    return update_policy(actor=actor, policy=policy, changes=changes)


def history(client, policy, query=""):
    return client.get(f"/developer/policies/{policy.id}/history{query}")


def restore(client, policy, number):
    return client.post(f"/developer/policies/{policy.id}/history/{number}/restore")


def listed(page):
    return [(version.number, actor) for version, actor in page.context["versions"]]


def test_each_change_has_its_actor(as_developer, developer, actor, policy):
    change(policy, actor, rules=NO_PAYMENTS, mode="shadow")
    key = create_api_key(actor=actor, developer=developer, name="CI", owned_by_organization=True).row
    change(policy, as_key(ANONYMOUS, key, access_of_key(key)), rules=NO_MAIL)
    page = history(as_developer, policy)
    assert listed(page) == [(3, "API key “CI”"), (2, developer.user.email), (1, developer.user.email)]
    assert words_of(page).count("Current") == 1


def test_a_restored_version_is_a_change_of_its_own(as_developer, actor, policy, developer):
    agent = make_agent(developer)
    policy = change(policy, actor, name="Other", agent=agent, rules=NO_PAYMENTS, enabled=False)
    answer = restore(as_developer, policy, 1)
    assert (answer.status_code, answer["Location"]) == (303, f"{as_developer.home}/policies/{policy.id}/history")
    policy.refresh_from_db()
    assert (policy.name, policy.agent, policy.rules, policy.enabled, policy.version) == ("Mine", None, NO_MAIL, True, 3)
    assert "Restored version 1" in words_of(history(as_developer, policy))
    metadata = [log_entry(one.id).content["metadata"] for one in log_entries(event="policy.updated")]
    assert [one.get("restoredVersion") for one in metadata if one["version"] == 3] == [1]


def test_a_version_whose_agent_is_deleted_is_not_restored(as_developer, actor, policy, developer):
    agent = make_agent(developer, name="Gone soon")
    policy = change(change(policy, actor, agent=agent), actor, agent=None)
    delete_agent(actor=actor, agent=agent)
    answer = restore(as_developer, policy, 2)
    assert answer.status_code == 422
    assert "The agent of this version has been deleted." in words_of(answer)
    edit = f"/developer/policies/{policy.id}/edit?version=2"
    assert f'href="{as_developer.at(edit)}"' in words_of(answer)
    assert_names_the_deleted_agent(as_developer.get(edit), agent)
    policy.refresh_from_db()
    assert policy.version == 3


def assert_names_the_deleted_agent(page, agent):
    """An empty field would stand for all agents."""
    assert page.status_code == 422
    assert page.context["editor"].fields["agent"].value() == f"{agent.name} ({agent.id})"
    assert "Your organization has no agent with this ID. It may have been deleted." in words_of(page)


def test_a_deleted_agent_gets_no_policy(developer, actor, policy):
    agent = make_agent(developer)
    delete_agent(actor=actor, agent=agent)
    with pytest.raises(Invalid, match="Must be one of your organization's agents"):
        create_policy(actor=actor, organization=developer.organization, name="Late", rules=NO_MAIL, agent=agent)
    with pytest.raises(Invalid, match="Must be one of your organization's agents"):
        change(policy, actor, agent=agent)
    assert Policy.objects.get().agent is None


def test_an_earlier_version_opens_in_the_editor(as_developer, actor, policy):
    rules = [*NO_MAIL, {"type": "gone", "config": {}}]
    version = PolicyVersion.objects.filter(policy=policy)
    version.update(content={**version.get().content, "rules": rules, "name": "Once"})
    change(policy, actor, name="Now")
    page = as_developer.get(f"/developer/policies/{policy.id}/edit?version=1")
    editor = page.context["editor"]
    assert (editor.fields["name"].value(), [rule.wording for rule in editor.rules]) == (
        "Once",
        ["Never allowed: email:send"],
    )
    assert "1 rule of a type that no longer exists is left out here." in words_of(page)
    assert as_developer.get(f"/developer/policies/{policy.id}/edit?version=9").status_code == 404


def test_versions_by_administrators_have_no_name_of_theirs(as_developer, policy):
    admin = make_user("root@example.com")
    update_policy(actor=ANONYMOUS.acting_as("administrator", admin.id), policy=policy, changes={"enabled": False})
    page = history(as_developer, policy)
    assert listed(page)[0][1] == "An administrator of AgentGate"
    assert "root@example.com" not in words_of(page)


def test_a_version_with_a_scope_that_is_gone_is_not_restored(as_developer, actor, policy):
    PolicyVersion.objects.filter(policy=policy).update(
        content={**PolicyVersion.objects.get(policy=policy).content, "rules": [{"type": "gone", "config": {}}]}
    )
    assert restore(as_developer, policy, 1).status_code == 422
    policy.refresh_from_db()
    assert policy.version == 1


@cases("number", ["2", "0", "x", "9" * 30, "-1"])
def test_only_versions_that_exist_are_restored(as_developer, policy, number):
    assert restore(as_developer, policy, number).status_code == 404


def test_the_history_is_paged(as_developer, actor, policy):
    for number in range(25):
        change(policy, actor, name=f"Name {number}")
    page = history(as_developer, policy)
    assert [number for number, _ in listed(page)] == list(range(26, 6, -1))
    rest = history(as_developer, policy, "?before=7")
    assert [number for number, _ in listed(rest)] == list(range(6, 0, -1))
    assert history(as_developer, policy, f"?before={'9' * 30}").status_code == 200


def test_history_and_restore_of_another_organization_are_absent(as_rival, policy):
    assert history(as_rival, policy).status_code == 404
    assert restore(as_rival, policy, 1).status_code == 404
    assert PolicyVersion.objects.count() == 1


def test_a_copy_is_a_new_policy(as_developer, as_rival, policy):
    url = f"/developer/policies/new?copy={policy.id}"
    editor = as_developer.get(url).context["editor"]
    assert (editor.fields["name"].value(), [rule.wording for rule in editor.rules]) == (
        "Copy of Mine",
        ["Never allowed: email:send"],
    )
    assert as_rival.get(url).status_code == 404
    assert Policy.objects.count() == 1


def test_the_name_of_a_copy_is_not_too_long(as_developer, actor, policy):
    change(policy, actor, name="x" * 200)
    name = as_developer.get(f"/developer/policies/new?copy={policy.id}").context["editor"].fields["name"].value()
    assert as_developer.post("/developer/policies/new", {"name": name, "status": "enforced"}).status_code == 303
    assert Policy.objects.filter(name=f"Copy of {'x' * 192}").exists()
