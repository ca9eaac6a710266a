"""The page of an invitation, and the organizations on the account page."""

from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.test import Client

from accounts.models import User
from core import clock
from developers.models import Developer, Invitation, Organization
from developers.role_words import ALLOWED
from developers.roles import Role
from tests.constants import PASSWORD
from tests.mails import code_in
from tests.shared import cases
from tests.web.markup import main_of, markup_of, words_of
from tests.world import make_invitation, sign_in

BOB = "bob@example.com"


@pytest.fixture
def invitation(developer: Developer) -> Invitation:
    User.objects.filter(pk=developer.user_id).update(name="Grace <Hopper>")
    return make_invitation(developer, BOB)


@pytest.fixture
def invited(bob: User) -> Client:
    EmailAddress.objects.filter(user=bob).update(verified=True)
    return sign_in(bob)


def url_of(invitation: Invitation) -> str:
    return f"/invitations/{invitation.id}"


def decide(browser: Client, invitation: Invitation, decision: str) -> Any:
    return browser.post(url_of(invitation), {"decision": decision})


def test_it_says_who_invites_to_what_with_which_role_and_until_when(invited: Client, invitation: Invitation) -> None:
    Organization.objects.update(domain="acme.com", is_verified=True)
    page = words_of(invited.get(url_of(invitation)))
    said = ['Join <bdi class="named">Acme Robotics</bdi>?', "Grace <Hopper></bdi> invites you", "acme.com", BOB]
    assert [one for one in [*said, "<strong>Developer</strong>"] if one not in page] == []
    assert all(str(one) in page for one in ALLOWED[Role.DEVELOPER])
    assert "Verified developer" in page
    # `tests/api/test_members.py` shows that this is so
    assert "they also recognize you in the log of this organization's agents" in page


def test_accepting_makes_a_member_who_finds_the_portal(invited: Client, invitation: Invitation, bob: User) -> None:
    answer = decide(invited, invitation, "accept")
    assert (answer.status_code, answer["Location"]) == (303, url_of(invitation))
    page = words_of(invited.get(url_of(invitation)))
    assert 'You are a member of <bdi class="named">Acme Robotics</bdi>' in page
    assert "Your role there is Developer." in page
    portal = f"/developer/{invitation.organization_id}/"
    assert portal in page
    assert invited.get(portal).status_code == 200
    assert decide(invited, invitation, "accept").status_code == 409


def test_declining(invited: Client, invitation: Invitation, bob: User) -> None:
    assert decide(invited, invitation, "neither").status_code == 400
    assert decide(invited, invitation, "decline").status_code == 303
    assert "You declined the invitation to" in words_of(invited.get(url_of(invitation)))
    assert not Developer.objects.filter(user=bob).exists()


@cases(("end", "words"), [("expired", "has expired"), ("revoked", "has ended"), ("replaced", "A newer invitation to")])
def test_an_ended_one_says_so(
    invited: Client, developer: Developer, invitation: Invitation, end: str, words: str
) -> None:
    if end == "replaced":
        newer = make_invitation(developer, BOB)
    else:
        Invitation.objects.update(status=end, ended_at=clock.now())
    page = words_of(invited.get(url_of(invitation)))
    assert words in page
    assert 'value="accept"' not in page
    if end == "replaced":
        assert url_of(newer) in page


def test_one_that_cannot_be_accepted_now_can_be_declined(invited: Client, invitation: Invitation) -> None:
    Organization.objects.update(suspended_at=clock.now(), suspension_reason="Fraud.")
    page = words_of(invited.get(url_of(invitation)))
    assert "The organization takes no new members now" in page
    assert "Fraud" not in page
    assert 'value="accept"' not in page
    refused = decide(invited, invitation, "accept")
    assert (refused.status_code, "takes no new members" in words_of(refused)) == (409, True)
    assert decide(invited, invitation, "decline").status_code == 303


def test_one_of_another_address_looks_like_one_that_does_not_exist(
    as_ada: Client, as_bob: Client, invitation: Invitation
) -> None:
    for browser in (as_ada, as_bob):  # Bob has not confirmed the address
        pages = [browser.get(url_of(invitation)), browser.get("/invitations/inv_0000")]
        pages += [decide(browser, invitation, "accept"), decide(browser, invitation, "decline")]
        assert [page.status_code for page in pages] == [404] * 4
        unlike = {main_of(markup_of(page)).replace(invitation.id, "inv_0000") for page in pages}
        assert len({text[: text.index("<form")] for text in unlike}) == 1
        assert "Acme" not in words_of(pages[0])
        assert "/accounts/email/?next=/invitations/" in words_of(pages[0])
    assert Invitation.objects.get().status == "pending"


def test_a_visitor_signs_up_with_the_invited_address_and_comes_back(
    developer: Developer, settings: Any, mails: list[Any]
) -> None:
    settings.REQUIRE_VERIFIED_EMAIL = True
    invitation = make_invitation(developer, "new@example.com")
    browser, path = Client(), url_of(invitation)
    asked = browser.get(path)
    assert asked["Location"] == f"/accounts/login/?next={path}"
    assert f"/accounts/signup/?next={path.replace('/', '%2F')}" in markup_of(browser.get(asked["Location"]))
    browser.post("/accounts/signup/", {"email": "new@example.com", "password1": PASSWORD, "next": path})
    answer = browser.post("/accounts/signup/confirm/", {"code": code_in(mails[-1])})
    assert answer["Location"] == path
    assert decide(browser, invitation, "accept").status_code == 303
    assert Developer.objects.get(user__email="new@example.com").organization_id == invitation.organization_id


def test_the_account_page_lists_invitations_and_organizations(
    invited: Client, developer: Developer, invitation: Invitation
) -> None:
    page = main_of(words_of(invited.get("/account")))
    assert "You are not a member of an organization" not in page
    assert url_of(invitation) in page
    decide(invited, invitation, "accept")
    page = main_of(words_of(invited.get("/account")))
    assert url_of(invitation) not in page
    assert f"/developer/{developer.organization_id}/" in page
    assert f"/account/organizations/{developer.organization_id}/leave" in page


def test_leaving_says_what_ends_and_ends_it(invited: Client, developer: Developer, invitation: Invitation) -> None:
    decide(invited, invitation, "accept")
    path = f"/account/organizations/{developer.organization_id}/leave"
    page = words_of(invited.get(path))
    assert "Leave Acme Robotics?" in page
    assert "Your access to this organization" in page
    answer = invited.post(path)
    assert (answer.status_code, answer["Location"]) == (303, "/account#organizations")
    assert "You have left Acme Robotics." in words_of(invited.get("/account"))
    assert invited.get(f"/developer/{developer.organization_id}/").status_code == 403
    assert [invited.get(path).status_code, invited.post(path).status_code] == [404, 404]


def test_the_last_owner_cannot_leave(as_developer: Client, developer: Developer, invitation: Invitation) -> None:
    path = f"/account/organizations/{developer.organization_id}/leave"
    page = words_of(as_developer.get(path))
    assert "Your API key for it" in page
    assert "The open invitations that you sent for it" in page
    refused = as_developer.post(path)
    assert (refused.status_code, "You are the only owner" in words_of(refused)) == (409, True)
    developer.refresh_from_db()
    assert developer.ended_at is None
