"""Pages for users in a language whose texts are 40 % longer: all are translated, and none is cut off on a phone."""

import pytest
from django.conf import settings as project

from accounts.models import User
from core.languages import is_for_users
from tests.web.browser import pseudo
from tests.web.browser.checks import show, sideways, too_heavy
from tests.web.browser.pages import GROUPS
from tests.web.browser.pages.group import as_page
from tests.web.browser.words import word_problems

pytestmark = [pytest.mark.browser, pytest.mark.soak, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_all_texts_of_a_group_are_translated_and_fit(open_tab, group, monkeypatch, settings):
    content, tab = group.prepare(settings), open_tab(javascript=True, width=320)
    tab.become(content.email)
    pseudo.speak(monkeypatch)
    tab.words = pseudo.accent
    found = []
    for page in (page for page in group.all_pages if is_for_users(page.path.partition("?")[0])):
        show(tab, page, content.ids)
        found += [f"{page}: {problem}" for problem in (*sideways(tab, 320), *word_problems(tab))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("language", [code for code, _ in project.LANGUAGES])
def test_the_consent_screen_is_light_in_each_language(open_tab, language, settings):
    (consent,) = (group for group in GROUPS if group.name == "consent")
    content, tab = consent.prepare(settings), open_tab(javascript=True, width=320)
    tab.become(content.email)
    User.objects.update(language=language)
    for page in map(as_page, consent.pages):
        show(tab, page, content.ids)
        assert [*too_heavy(tab, page)] == []
        assert tab.page.evaluate("document.documentElement.lang") == language
