"""Every page on each database: its status, and how many queries it needs. `browser/` has tests of what it shows."""

import pytest
from django.test import Client

from audit.sequencing.sequencer import sequence
from tests.passkeys import enter_password
from tests.web.browser.pages import GROUPS
from tests.web.browser.pages.group import as_page

pytestmark = pytest.mark.postgresql

MOST_QUERIES = 13


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_each_page_of_a_group_has_its_status_and_needs_few_queries(db, group, settings, django_assert_max_num_queries):
    content = group.prepare(settings)
    sequence()  # as the server does, so that pages need not read the journal
    client = enter_password(content.email) if content.email else Client()
    for page in map(as_page, group.pages):
        path = page.path.format(**content.ids)
        with django_assert_max_num_queries(MOST_QUERIES, info=str(page)):
            answer = client.get(path)
        assert answer.status_code == page.status, (str(page), answer.get("Location"))
        if content.email:
            assert "no-store" in answer.get("Cache-Control", ""), str(page)
