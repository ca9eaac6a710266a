"""Settings > Domain, and the domain in the heading of the consent screen."""

import re

import pytest

from core.actor import SYSTEM
from developers import domains
from developers.domains import decline_review
from developers.models import DomainClaim, Organization
from developers.proofs import Found
from developers.services import verify_organization
from tests.shared import cases
from tests.web.markup import markup_of

PATH = "/developer/settings/domain"
VERIFIED = "verified domain"


@pytest.fixture
def found(monkeypatch) -> list[Found]:
    """What the next checks find. The last one stays."""
    results = [Found("", "absent", "unreachable")]
    monkeypatch.setattr(domains, "find_proof", lambda *_: results.pop(0) if len(results) > 1 else results[0])
    return results


def prove(browser, found) -> str:
    found[:] = [Found("dns")]
    browser.post(PATH, {"domain": "acme.com"})
    return markup_of(browser.post(f"{PATH}/check", follow=True))


def test_a_domain_is_claimed_published_and_proved(as_developer, developer, found):
    response = as_developer.post(PATH, {"domain": "Acme.COM"})
    assert (response.status_code, response["Location"]) == (303, as_developer.at(PATH))
    page = markup_of(as_developer.get(PATH))
    token = DomainClaim.objects.get(organization=developer.organization).token
    assert f"agentgate-verification={token}" in page
    assert "_agentgate.acme.com" in page
    assert "https://acme.com/.well-known/agentgate.txt" in page
    assert "Not proved" in page
    page = markup_of(as_developer.post(f"{PATH}/check", follow=True))
    assert "The proof was not found." in page
    assert "There is no such record." in page
    assert "The file could not be fetched." in page
    found[:] = [Found("file")]
    page = markup_of(as_developer.post(f"{PATH}/check", follow=True))
    assert "The proof is there." in page
    assert "found in the file" in page
    assert Organization.objects.get(pk=developer.organization_id).domain == "acme.com"


@cases(
    ("text", "message"),
    [
        ("", "Domain: This field is required."),
        ("https://acme.com", "Domain: Enter the domain alone, such as acme.com."),
        ("co.uk", "Domain: Anyone can get a name in co.uk. Enter yours."),
    ],
)
def test_a_text_that_cannot_be_proved_is_refused_and_kept(as_developer, text, message):
    response = as_developer.post(PATH, {"domain": text})
    assert (response.status_code, message in markup_of(response)) == (422, True)
    assert f'value="{text}"' in markup_of(response) or not text
    assert not DomainClaim.objects.exists()


def test_a_second_claim_is_refused(as_developer, found):
    prove(as_developer, found)
    response = as_developer.post(PATH, {"domain": "other.com"})
    assert (response.status_code, "Remove it first." in markup_of(response)) == (409, True)
    assert DomainClaim.objects.get().name == "acme.com"


def test_a_missing_proof_is_announced_on_the_page(as_developer, found):
    prove(as_developer, found)
    found[:] = [Found("", "other", "absent")]
    page = markup_of(as_developer.post(f"{PATH}/check", follow=True))
    assert "The proof has been missing since" in page
    assert "There is a record with another value" in page


def test_a_domain_of_another_organization_is_refused(as_developer, as_rival, found):
    prove(as_developer, found)
    assert "its record is still there" in prove(as_rival, found)
    assert Organization.objects.filter(domain="acme.com").count() == 1


def test_too_many_checks_are_refused(as_developer, found):
    as_developer.post(PATH, {"domain": "acme.com"})
    statuses = [as_developer.post(f"{PATH}/check").status_code for _ in range(21)]
    assert statuses == [303] * 20 + [429]


def test_the_consent_screen_shows_the_domain_only_while_it_is_proved(as_developer, as_ada, ask, found):
    url = f"/consent/{ask().id}"
    as_developer.post(PATH, {"domain": "acme.com"})
    assert VERIFIED not in markup_of(as_ada.get(url))
    prove(as_developer, found)
    heading = markup_of(as_ada.get(url)).split("<h1")[1].split("</h1>")[0]
    assert "acme.com" in heading
    assert VERIFIED in heading
    assert as_developer.post(f"{PATH}/remove").status_code == 303
    assert VERIFIED not in markup_of(as_ada.get(url))


def test_removing_asks_first(as_developer, found):
    assert as_developer.get(f"{PATH}/remove").status_code == 404
    prove(as_developer, found)
    assert "Another organization can prove it" in markup_of(as_developer.get(f"{PATH}/remove"))
    assert DomainClaim.objects.exists()
    assert "Domain removed." in markup_of(as_developer.post(f"{PATH}/remove", follow=True))
    assert not DomainClaim.objects.exists()


def test_an_organization_with_a_domain_asks_to_be_verified(as_developer, developer, found):
    assert "Prove a domain first." in markup_of(as_developer.post(f"{PATH}/review", follow=True))
    assert "Ask to be verified" in prove(as_developer, found)
    page = markup_of(as_developer.post(f"{PATH}/review", follow=True))
    assert "An administrator of AgentGate decides." in page
    assert "Ask to be verified" not in page


def test_a_developer_learns_what_was_decided_and_why(as_developer, developer, found):
    organization = developer.organization
    prove(as_developer, found)
    as_developer.post(f"{PATH}/review")
    decline_review(actor=SYSTEM, organization=organization, reason="Send your <b>register</b> extract.")
    page = markup_of(as_developer.get(PATH))
    assert "An administrator of AgentGate declined to verify your organization." in page
    assert "Send your <b>register</b> extract." in page
    assert "Ask to be verified" in page
    entry = as_developer.get(re.search(r'href="(/developer/\w+/logs/log_\w+)"', page)[1])
    assert "Stated reason" in markup_of(entry)
    as_developer.post(f"{PATH}/review")
    assert "declined to verify" not in markup_of(as_developer.get(PATH))
    verify_organization(actor=SYSTEM, organization=organization, is_verified=True, reason="Papers.")
    assert "notice--warn" not in markup_of(as_developer.get(PATH))
    verify_organization(actor=SYSTEM, organization=organization, is_verified=False, reason="Sold.")
    assert "An administrator of AgentGate decided that your organization is no longer verified." in markup_of(
        as_developer.get(PATH)
    )


@cases("action", ["check", "review"])
def test_actions_take_post_only(as_developer, action):
    assert as_developer.get(f"{PATH}/{action}")["Location"] == as_developer.at(PATH)


def test_a_user_who_is_not_a_developer_is_redirected_to_become_one(as_ada):
    assert as_ada.get(PATH)["Location"] == "/developer/"


def test_another_domain_suspends_verified_and_the_ticks_of_the_consent_screen(
    as_developer, as_ada, developer, ask, found
):
    prove(as_developer, found)
    verify_organization(actor=SYSTEM, organization=developer.organization, is_verified=True, reason="papers seen")
    url = f"/consent/{ask(scopes=['email:read']).id}"
    ticked = 'value="email:read" checked'
    page = markup_of(as_ada.get(url))
    assert ticked in page
    assert "no longer shown as verified" in markup_of(as_developer.get(f"{PATH}/remove"))
    as_developer.post(f"{PATH}/remove")
    page = markup_of(as_ada.get(url))
    assert "Verified developer" not in page
    assert ticked not in page
    assert "An administrator of AgentGate verified your organization with acme.com." in markup_of(
        as_developer.get(PATH)
    )
    found[:] = [Found("dns")]
    as_developer.post(PATH, {"domain": "evil.com"})
    page = markup_of(as_developer.post(f"{PATH}/check", follow=True))
    assert "Ask to be verified" in page
    assert ticked not in markup_of(as_ada.get(url))
