"""Settings > Members, and what a removal says and leaves."""

import pytest

from developers.acting import as_developer as acting
from developers.api_keys import create_api_key
from developers.models import Developer, Invitation
from developers.roles import Role
from events.services import rotate_secret
from tests.events.webhooks import webhook_for
from tests.web.markup import markup_of
from tests.world import ANONYMOUS, make_agent, make_invitation, make_member, sign_in_recently
from web.portal.members import views

PATH = "/developer/settings/members"


@pytest.fixture
def member(developer: Developer) -> Developer:
    return make_member(developer, "bob@example.com", Role.DEVELOPER)


def test_members_and_invitations_are_listed_with_what_the_viewer_may_do(as_developer, developer, member):
    make_invitation(developer, "grace@example.com")
    page = markup_of(as_developer.get(PATH))
    assert "2 members" in page
    for text in ("dev@example.com", "(you)", "bob@example.com", "grace@example.com", "Send invitation"):
        assert text in page
    assert f'<select id="role-{member.id}"' in page
    assert f'<select id="role-{developer.id}"' not in page


def test_a_member_who_may_not_change_them_sees_neither_buttons_nor_invitations(as_developer, developer, member):
    make_invitation(developer, "grace@example.com")
    page = markup_of(sign_in_recently(member.user).get(PATH))
    assert "dev@example.com" in page
    for absent in ("grace@example.com", "<select", "Resend", "Send invitation", ">Remove"):
        assert absent not in page


def test_an_admin_is_offered_no_role_above_their_own(developer):
    admin = make_member(developer, "eve@example.com", Role.ADMIN)
    page = markup_of(sign_in_recently(admin.user).get(PATH))
    assert f'<select id="role-{developer.id}"' not in page
    assert '<option value="owner"' not in page
    assert '<option value="admin"' in page


def test_search_finds_names_and_addresses(as_developer, member, monkeypatch):
    monkeypatch.setattr(views, "MANY", 1)
    page = markup_of(as_developer.get(f"{PATH}?q=BOB"))
    assert "bob@example.com" in page
    assert "dev@example.com</bdi>" not in page.partition("<tbody")[2]
    assert "No member matches" in markup_of(as_developer.get(f"{PATH}?q=nobody"))


def test_an_invitation_that_cannot_be_made_says_why_and_keeps_what_was_typed(as_developer):
    form = {"email": "grace@example.com", "role": "auditor"}
    for _ in range(3):
        assert as_developer.post(PATH, form).status_code == 303
    answer = as_developer.post(PATH, form)
    page = markup_of(answer)
    assert answer.status_code == 422
    assert "Too many attempts" in page
    assert 'value="grace@example.com"' in page
    assert Invitation.objects.filter(status="pending").count() == 1


def test_only_an_invitation_that_has_not_ended_is_sent_again(as_developer, developer):
    """A page that a colleague opened earlier must not bring back one that was revoked."""
    first = make_invitation(developer, "grace@example.com")
    path = f"{PATH[: -len('members')]}invitations"
    as_developer.post(f"{path}/{first.id}/resend")
    answer = as_developer.post(f"{path}/{first.id}/resend", follow=True)
    assert "The invitation has ended" in markup_of(answer)
    assert [one.status for one in Invitation.objects.order_by("id")] == ["replaced", "pending"]


def test_the_last_owner_cannot_be_demoted_by_another_owner_who_is_deactivated(as_developer, developer, member):
    other = make_member(developer, "owner2@example.com", Role.OWNER)
    type(other.user).objects.filter(pk=other.user_id).update(is_active=False)
    answer = as_developer.post(f"{PATH}/{developer.id}/role", {"role": "admin"}, follow=True)
    assert "owner" in markup_of(answer)
    developer.refresh_from_db()
    assert developer.role == Role.OWNER


def test_a_removal_says_what_ends_and_leads_to_the_secrets_that_were_seen(as_developer, member):
    agent = make_agent(member, name="Seen")
    page = markup_of(as_developer.get(f"{PATH}/{member.id}/remove"))
    for text in ("from Acme Robotics?", "bob@example.com", "Secrets that they have seen", "Seen"):
        assert text in page

    removed = as_developer.post(f"{PATH}/{member.id}/remove")
    secrets = f"{PATH}/{member.id}/secrets"
    assert (removed.status_code, removed["Location"]) == (303, as_developer.at(secrets))
    assert "Rotate all" in markup_of(as_developer.get(secrets))
    assert as_developer.post(secrets, {"overlap_seconds": "0"}).status_code == 303
    shown = markup_of(as_developer.get(secrets))
    assert shown.count("ags_") == 1
    assert "ags_" not in markup_of(as_developer.get(secrets))
    assert agent.secrets.filter(expires_at=None).count() == 1
    made = markup_of(as_developer.get(f"/developer/agents/{agent.id}"))
    assert "by bob@example.com" in made
    assert "(no longer a member)" in made


def test_a_removal_leads_to_the_secrets_of_webhooks_too(as_developer, developer):
    admin = make_member(developer, "eve@example.com", Role.ADMIN)
    webhook_for(admin, url="https://seen.example/in")
    path = f"{PATH}/{admin.id}"
    assert "seen.example" in markup_of(as_developer.get(f"{path}/remove"))
    assert as_developer.post(f"{path}/remove")["Location"] == as_developer.at(f"{path}/secrets")
    assert "seen.example" in markup_of(as_developer.get(f"{path}/secrets"))
    as_developer.post(f"{path}/secrets", {"overlap_seconds": "3600"})
    assert markup_of(as_developer.get(f"{path}/secrets")).count("whsec_") == 1
    assert "None of them works anymore." in markup_of(as_developer.get(f"{path}/secrets"))


def test_a_removal_names_the_keys_of_the_organization_that_the_member_made(as_developer, developer):
    admin = make_member(developer, "eve@example.com", Role.ADMIN)
    create_api_key(actor=acting(ANONYMOUS, admin), developer=admin, name="siem", owned_by_organization=True)
    path = f"{PATH}/{admin.id}"
    said = "They made these API keys of the organization."
    page = markup_of(as_developer.get(f"{path}/remove"))
    assert said in page
    assert "<bdi>siem</bdi>" in page
    assert as_developer.post(f"{path}/remove")["Location"] == as_developer.at(f"{path}/secrets")
    assert said in markup_of(as_developer.get(f"{path}/secrets"))
    assert said not in markup_of(as_developer.get(f"{PATH}/{developer.id}/remove"))


def test_a_removal_names_the_hosts_to_which_events_go_on_being_sent(as_developer, developer):
    """Also that of a webhook whose secret another member has seen since: the URL is still the one that they gave."""
    admin = make_member(developer, "eve@example.com", Role.ADMIN)
    webhook = webhook_for(admin, url="https://theirs.example/in")
    actor = acting(ANONYMOUS, developer)
    rotate_secret(actor=actor, organization_id=developer.organization_id, webhook_id=webhook.pk)
    assert "theirs.example" in markup_of(as_developer.get(f"{PATH}/{admin.id}/remove"))


def test_a_removed_member_is_told_that_they_are_no_member(as_developer, developer, member):
    theirs = sign_in_recently(member.user)
    assert theirs.get(as_developer.at("/developer/agents")).status_code == 200
    as_developer.post(f"{PATH}/{member.id}/remove")
    answer = theirs.get(as_developer.at("/developer/agents"))
    assert answer.status_code == 403
    assert "not a member" in markup_of(answer)


def test_each_role_is_explained_and_the_own_one_marked(as_developer):
    page = markup_of(as_developer.get("/developer/settings/roles"))
    assert page.count("Your role") == 1
    assert f'<a href="{as_developer.home}/settings/members" aria-current="page">' in page
    for text in ("Owner", "Admin", "Developer", "Auditor", "Delete the organization"):
        assert text in page
