"""The documentation: its pages, the API reference, their links and their search."""

import json
import re
from html import unescape
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from api.documentation import known_errors
from tests.live.server import ROOT
from tests.shared import cases
from tests.web.markup import main_of
from web.public.docs.markdown import render
from web.public.docs.pages import files, url_of
from web.public.docs.reference import operations
from web.public.docs.search import MAX_RESULTS, search

PAGES = [url_of(name) for name in files()]
OPERATIONS = {f"/docs/api-reference/{name}": operation for name, operation in operations().items()}
LINK = re.compile(r'<a [^>]*href="([^"]+)"')
MAX_WEIGHT = 150_000


@pytest.fixture(autouse=True)
def database(db):
    """The layout of every page reads the session."""


@pytest.fixture(scope="module")
def texts(rows):
    """The HTML of every page and of every operation."""
    return {url: Client().get(url).content.decode() for url in (*PAGES, "/docs/api-reference", *OPERATIONS)}


def test_every_file_is_a_page():
    assert set((ROOT / "docs").rglob("*.md")) <= set(files().values())


def test_pages_have_one_heading_and_their_place_in_the_menu(client, django_assert_num_queries):
    for url in (*PAGES, "/docs/api-reference"):
        with django_assert_num_queries(0):
            response = client.get(url)
        text = response.content.decode()
        assert response.status_code == 200, url
        assert text.count("<h1 ") == 1, url
        if "/adr/" not in url and url != "/docs":
            assert f'href="{url}" aria-current="page"' in text, url


def test_no_link_of_the_documentation_is_broken(client, texts):
    """Follow every link, with its anchor, of every page and of every operation."""
    starts, texts, missing = list(texts), dict(texts), []
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


@cases("name", ["nowhere", "README", "adr/41000", "adr/x", "../SECURITY", "openapi.json", "a%00b"])
def test_an_unknown_page_is_not_found(client, name):
    assert client.get(f"/docs/{name}").status_code == 404
    assert client.get(f"/docs/api-reference/{name}").status_code == 404


def test_a_decision_is_found_by_its_number(client):
    assert "The user is always asked" in client.get("/docs/adr/0012").content.decode()


def test_the_index_lists_the_groups(client):
    index = client.get("/docs").content.decode()
    for group in ("For people who use agents", "For developers of agents", "For operators", "For contributors"):
        assert f">{group}</h2>" in index


PEOPLE = [url for url in PAGES if url.startswith("/docs/people/")]


@cases("url", PEOPLE)
def test_a_page_for_people_has_a_picture_and_no_code(texts, url):
    text = main_of(texts[url])
    pictures = re.findall(r'picture--(\w+)" src="/static/(docs/[\w.-]+)" alt="([^"]*)"', text)
    assert [theme for theme, _, _ in pictures] == ["light", "dark"]
    for _, name, alt in pictures:
        assert len(alt) > 40
        assert Path(str(finders.find(name))).stat().st_size < 30_000
    assert "<code" not in text


@cases("path", sorted((ROOT / "docs" / "people").glob("*.md")), ids=lambda path: path.stem)
def test_a_page_for_people_names_buttons_as_they_are_labelled(path):
    labels = re.findall(r"\*\*([^*.]+)\*\*", path.read_text())
    catalog = (ROOT / "locale/de/LC_MESSAGES/django.po").read_text()
    assert [label for label in labels if f'"{label}"' not in catalog] == []


def test_a_page_has_a_table_of_contents_with_its_headings(client):
    text = client.get("/docs/policies").content.decode()
    assert "On this page" in text
    assert 'class="docs__level-3"><a href="#rate_limit">rate_limit</a>' in text
    assert '<h3 id="rate_limit">' in text


def test_the_security_policy_has_a_short_address(client):
    assert client.get("/security")["Location"] == "/docs/security-policy"


def test_the_reference_lists_every_operation_and_each_has_a_page(texts):
    listing = re.sub(r' class="method[^"]*"|<wbr>', "", unescape(texts["/docs/api-reference"]))
    assert "RFC 9457" in listing
    for url, (method, path, source) in OPERATIONS.items():
        shown = path.removeprefix("/api/v1")
        link = f'<code>{method}</code> <a href="{url}">{source["summary"]}</a><br>\n<code>{shown}</code>'
        # Operations that differ in the method only are in one row.
        assert link in listing.replace("<br />", "<br>") or f'<a href="{url}"><code>{method}</code></a>' in listing
        text = unescape(texts[url])
        assert f"<code>{method} {path}</code>" in text
        for code in re.findall(r"`(\w+)`: ", " ".join(each["description"] for each in source["responses"].values())):
            assert f'href="/api/docs/errors#{code}"' in text


def test_an_operation_shows_its_part_of_the_document(client):
    text = unescape(client.get("/docs/api-reference/verifyToken").content.decode())
    assert "Credential: client credentials." in text
    shown = [json.loads(part) for part in re.findall(r"<code>([\[{].*?)</code>", text, re.DOTALL)]
    parameters, body, answers = shown
    assert parameters[0]["name"] == "Idempotency-Key"
    assert "requiredScopes" in body["application/json"]["schema"]["properties"]
    assert "allowed" in answers["200"]["application/json"]["schema"]["properties"]


def test_the_page_of_errors_has_an_anchor_for_each_code(client):
    text = client.get("/api/docs/errors").content.decode()
    assert all(f'id="{error.code}"' in text for error in known_errors())


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


def test_search_finds_headings_before_texts():
    results, count = search("Backup")
    assert results[0].title.lower().startswith(("backup", "back up"))
    assert count >= len(results) > 1


def test_search_needs_all_words_and_also_finds_operations(client):
    text = client.get("/docs?q=refresh+TOKEN").content.decode()
    assert 'href="/docs/api-reference/refreshTokens"' in text
    assert "results for" in text
    assert search("refresh qqqq") == ([], 0)


def test_an_empty_search_and_one_without_results_say_what_to_do(client):
    assert "Enter a word to search for" in client.get("/docs?q=").content.decode()
    text = client.get("/docs?q=qqqq").content.decode()
    assert "No section contains all of these words" in text
    assert 'href="/scopes?q=qqqq"' in text


@cases("query", ["<script>alert(1)</script>", "'\"", ".*(", "a" * 5000, "\x00", " e " * 500, "İ", "%"])
def test_any_query_is_answered_and_escaped(client, query):
    response = client.get("/docs", {"q": query})
    assert response.status_code == 200
    assert "<script>alert" not in response.content.decode()
    assert len(response.content) < 60_000
    assert len(search(query)[0]) <= MAX_RESULTS


@cases("path", ["/docs", "/docs/policies", "/docs/api-reference", "/docs/api-reference/verifyToken"])
def test_the_documentation_is_read_only(client, path):
    assert client.post(path).status_code == 405


def weight(page: str) -> int:
    """Return the bytes of the page with its styles, its fonts and its scripts."""
    names = set(re.findall(r'(?:src|href)="/static/([^"]+)"', page))
    return len(page.encode()) + sum(Path(str(finders.find(name))).stat().st_size for name in names)


def test_no_page_weighs_more_than_150_kilobytes(client, texts):
    others = {path: client.get(path).content.decode() for path in ("/docs?q=the", "/scopes", "/api/docs/errors")}
    weights = {path: weight(text) for path, text in {**texts, **others}.items()}
    assert {path: size for path, size in weights.items() if size > MAX_WEIGHT} == {}
    assert min(weights.values()) > 50_000
