"""Pages for users in a language whose texts are 40 % longer: all are translated, and none is cut off on a phone."""

import pytest

from core.languages import is_for_users
from tests.web.browser import pseudo
from tests.web.browser.checks import show, sideways
from tests.web.browser.pages import GROUPS
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
