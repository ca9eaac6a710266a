"""Every page on each database: it answers, in few queries. The tests in `browser/` look at what it shows."""

import pytest
from django.test import Client

from accounts.models import User
from audit.sequencing.sequencer import sequence
from tests.web.browser.pages import GROUPS
from tests.web.browser.pages.group import as_page

MOST_QUERIES = 12


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_each_page_of_a_group_needs_few_queries(db, group, settings, django_assert_max_num_queries):
    content, client = group.prepare(settings), Client()
    sequence()  # as the server does, so that pages need not read the journal
    if content.email:
        client.force_login(User.objects.get(email=content.email))
    for page in map(as_page, group.pages):
        path = page.path.format(**content.ids)
        with django_assert_max_num_queries(MOST_QUERIES, info=str(page)):
            answer = client.get(path)
        assert answer.status_code < 500 or path.startswith("/errors/")
