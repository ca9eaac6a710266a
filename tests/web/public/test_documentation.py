"""The documentation: its pages, their links and their search."""

import re
from html import unescape
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from tests.live.server import ROOT
from tests.web.markup import main_of
from web.public.docs.markdown import render
from web.public.docs.pages import REFERENCE, Page, library
from web.public.docs.reference import operations
from web.public.docs.search import MAX_RESULTS, search

PAGES = [page for page in library().pages.values() if page.path != REFERENCE]
LINK = re.compile(r'<a [^>]*href="([^"]+)"')
MAX_WEIGHT = 150_000


@pytest.fixture(autouse=True)
def database(db):
    """The layout of every page reads the session."""


def test_every_file_is_a_page():
    assert set((ROOT / "docs").rglob("*.md")) - {page.path for page in PAGES} == {ROOT / "docs/README.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_shown_with_its_place(client, django_assert_num_queries, page):
    with django_assert_num_queries(0):
        response = client.get(page.url)
    text = response.content.decode()
    assert response.status_code == 200
    assert f"<title>{page.document().title} " in unescape(text)
    assert text.count("<h1 ") == 1
    if page in [each for pages in library().groups.values() for each in pages]:
        assert f'href="{page.url}" aria-current="page"' in text


def test_no_link_of_the_documentation_is_broken(client):
    """Follow every link, with its anchor, of every page and of every operation."""
    starts = ["/docs", "/docs/api-reference", *(page.url for page in PAGES)]
    starts += [f"/docs/api-reference/{name}" for name in operations()]
    texts = {url: client.get(url).content.decode() for url in starts}
    missing = []
    for start in starts:
        for link in map(unescape, LINK.findall(main_of(texts[start]))):
            path, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", link) or link.startswith("/api/v1/"):
                continue
            path = path or start
            if path not in texts:
                texts[path] = client.get(path, follow=True).content.decode()
            if "Page not found" in texts[path] or (anchor and f'id="{anchor}"' not in texts[path]):
                missing.append((start, link))
    assert missing == []


@pytest.mark.parametrize("name", ["nowhere", "README", "adr/41000", "adr/x", "../SECURITY", "openapi.json", "a%00b"])
def test_an_unknown_page_is_not_found(client, name):
    assert client.get(f"/docs/{name}").status_code == 404


def test_a_decision_is_found_by_its_number(client):
    assert "The user is always asked" in client.get("/docs/adr/0012").content.decode()
    assert client.get("/docs/adr/12").status_code == 200


def test_the_index_lists_the_groups_and_pages_have_neighbours(client):
    index = client.get("/docs").content.decode()
    for group in ("For users", "For developers of agents", "For operators", "For contributors"):
        assert f">{group}</h2>" in index
    first, second, third = (page.url for page in PAGES[:3])
    assert f'rel="prev" href="{first}"' in client.get(second).content.decode()
    assert f'rel="next" href="{third}"' in client.get(second).content.decode()


def test_a_page_has_a_table_of_contents_with_its_headings(client):
    text = client.get("/docs/policies").content.decode()
    assert "On this page" in text
    assert 'class="docs__level-3"><a href="#rate_limit">rate_limit</a>' in text
    assert '<h3 id="rate_limit">' in text


def test_the_security_policy_has_a_short_address(client):
    assert client.get("/security")["Location"] == "/docs/security-policy"


def test_html_scripts_and_links_to_files_are_left_out():
    source = (
        "# T\n\n<script>alert(1)</script>\n\n[a](javascript:alert(1)) <b onclick=x>b</b> ![i](x.png)\n\n[f](../f.py)"
    )
    html = render(source, lambda target: None).html
    assert "<script" not in html
    assert "onclick" not in html
    assert "<img" not in html
    assert "href" not in html
    assert "<p>f</p>" in html


def test_code_and_tables_scroll_by_keyboard():
    html = render("# T\n\n```sh\ncurl <x>\n```\n\n| a | |\n|--:|---|\n| b | c |\n", lambda target: None).html
    assert re.search(r'<pre class="code" id="(code-\d+)" tabindex="0".*data-copy="\1"', html, re.DOTALL)
    assert "curl &lt;x&gt;" in html
    assert '<div class="table-wrap" tabindex="0"' in html
    assert '<th scope="col">a</th><td></td>' in html
    assert "style" not in html


def test_a_changed_file_is_shown_in_debug_mode_only(settings, tmp_path: Path):
    path = tmp_path / "page.md"
    page = Page("page", "Page", "", "", path)
    settings.DEBUG = True
    for title in ("Before", "After, and longer"):
        path.write_text(f"# {title}\n")
        assert page.document().title == title


def test_search_finds_headings_before_texts(client):
    results = search("backup")
    assert "".join(part for part, _ in results.shown[0].title).lower().startswith(("backup", "back up"))
    text = client.get("/docs?q=Backup").content.decode()
    assert "<mark>" in text
    assert "results for" in text


def test_search_needs_all_words_and_also_finds_operations(client):
    text = client.get("/docs?q=refresh+TOKEN").content.decode()
    assert 'href="/docs/api-reference/refreshTokens"' in text
    assert "<mark>refresh</mark> <mark>token</mark>" in text
    assert search("refresh qqqq").count == 0


def test_an_empty_search_and_one_without_results_suggest_what_to_do(client):
    assert "Enter a word to search for" in client.get("/docs?q=").content.decode()
    text = client.get("/docs?q=reservationss").content.decode()
    assert "No section contains all of these words" in text
    assert '<a href="?q=reservations"' in text
    assert "Did you mean" not in client.get("/docs?q=%E2%82%AC%E2%82%AC%E2%82%AC%E2%82%AC").content.decode()


@pytest.mark.parametrize(
    "query", ["<script>alert(1)</script>", "'\"", ".*(", "a" * 5000, "\x00", " e " * 500, "İ", "%"]
)
def test_any_query_is_answered_and_escaped(client, query):
    response = client.get("/docs", {"q": query})
    assert response.status_code == 200
    assert "<script>alert" not in response.content.decode()
    assert len(response.content) < 60_000
    assert len(search(query).shown) <= MAX_RESULTS


@pytest.mark.parametrize("path", ["/docs", "/docs/policies", "/docs/api-reference", "/docs/api-reference/verifyToken"])
def test_the_documentation_is_read_only(client, path):
    assert client.post(path).status_code == 405


def weight(page: str) -> int:
    """Return the bytes of the page with its styles, its fonts and its scripts."""
    names = set(re.findall(r'(?:src|href)="/static/([^"]+)"', page))
    return len(page.encode()) + sum(Path(str(finders.find(name))).stat().st_size for name in names)


def test_no_page_weighs_more_than_150_kilobytes(client):
    paths = ["/docs", "/docs?q=the", "/docs/api-reference", "/scopes", "/api/docs/errors"]
    paths += [page.url for page in PAGES] + [f"/docs/api-reference/{name}" for name in operations()]
    weights = {path: weight(client.get(path).content.decode()) for path in paths}
    assert {path: size for path, size in weights.items() if size > MAX_WEIGHT} == {}
    assert min(weights.values()) > 50_000
