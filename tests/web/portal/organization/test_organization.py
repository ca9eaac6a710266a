"""Settings > Organization, and what the consent screen shows of it."""

from developers.models import Organization
from tests.web.markup import markup_of

PATH = "/developer/settings"
FORM = {"name": "Acme", "terms_url": "https://acme.com/terms", "contact_email": "help@acme.com"}


def test_the_consent_screen_shows_the_terms_and_the_contact(as_developer, agent):
    answer = as_developer.post(PATH, FORM)
    assert (answer.status_code, answer["Location"]) == (303, as_developer.at(PATH))
    page = markup_of(as_developer.get(PATH))
    assert "Saved." in page
    assert 'value="help@acme.com"' in page
    shown = markup_of(as_developer.get(f"/developer/agents/{agent.id}/edit"))
    assert '<a class="says__link" href="https://acme.com/terms"' in shown
    assert "Contact: <bdi>help@acme.com</bdi>" in shown


def test_what_is_wrong_is_named_and_kept(as_developer):
    answer = as_developer.post(PATH, {**FORM, "terms_url": "ftp://acme.com", "contact_email": "help"})
    page = markup_of(answer)
    assert answer.status_code == 422
    for text in (
        "Terms of service: Must begin with https://",
        "Contact: Must be an email address",
        "ftp://acme.com",
    ):
        assert text in page


def test_a_verified_organization_confirms_a_new_name(as_developer, developer):
    organizations = Organization.objects.filter(pk=developer.organization_id)
    organizations.update(name="Acme", is_verified=True, verified_with="")
    assert "Verified developer" in markup_of(as_developer.get(PATH))
    answer = as_developer.post(PATH, {**FORM, "name": "Ajax"})
    assert "Tick this to change the name." in markup_of(answer)
    assert as_developer.post(PATH, FORM).status_code == 303
    assert organizations.get().is_verified
    as_developer.post(PATH, {**FORM, "name": "Ajax", "ends_verification": "on"})
    assert (organizations.get().name, organizations.get().is_verified) == ("Ajax", False)


def test_the_badge_leads_to_what_can_be_done_about_it(as_developer):
    for path in (PATH, "/developer/"):
        assert f'<a href="{as_developer.home}/settings/domain"><span class="badge' in markup_of(as_developer.get(path))
