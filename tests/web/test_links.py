"""No page has a broken link."""

import re

import pytest
from django.http import QueryDict
from django.test import Client
from django.urls import resolve

from developers.acting import as_developer
from policies.services import create_policy
from tests.approvals import make_approval

LINK = re.compile(r'<a [^>]*href="([^"#]+)"')
# The API answers these, and says that nothing is numbered yet.
SIGNED = ("/logs/evidence", "/proof")


def crawl(client: Client, start: str) -> dict[str, int]:
    """Return the status of the pages of this site that can be reached by links from `start`.

    Of the links to one view with the same parameters in the query, one is followed.
    """
    found: dict[str, int] = {}
    kinds: set[tuple[str, str]] = set()
    waiting = [start]
    while waiting:
        url = waiting.pop().replace("&amp;", "&")
        if url in found or not url.startswith("/") or url.startswith("/api/") or url.endswith(SIGNED):
            continue
        path, _, query = url.partition("?")
        kind = (resolve(path).route, " ".join(sorted(QueryDict(query))))
        if kind in kinds:
            continue
        kinds.add(kind)
        response = client.get(url)
        found[url] = response.status_code
        response.getvalue()  # ends a download
        if response.get("Content-Type", "").startswith("text/html"):
            base = url.partition("?")[0]
            links = LINK.findall(response.content.decode())
            waiting += [f"{base}{link}" if link.startswith("?") else link for link in links]
    return found


@pytest.fixture
def everything(granted, developer, world):
    make_approval(granted)
    make_approval(granted, is_held=True)
    actor = as_developer(world.ANONYMOUS, developer)
    create_policy(actor=actor, organization=developer.organization, name="Empty", rules=[])


@pytest.mark.parametrize("who", ["client", "as_ada", "as_developer"])
def test_no_link_is_broken(request, everything, who):
    found = crawl(request.getfixturevalue(who), "/")
    assert len(found) > 4
    assert {url: status for url, status in found.items() if status not in (200, 302, 303)} == {}


def test_the_api_reference_exists(client, db):
    assert client.get("/api/docs", follow=True).status_code == 200
