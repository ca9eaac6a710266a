"""The catalogue of scopes at /scopes."""

import pytest

from consent.delegation import DELEGATE
from resources.catalogue import catalogue
from resources.categories import CATEGORY_NAMES
from tests.shared import cases
from tests.web.markup import text_of
from web.user.consent.form import is_sensitive


@pytest.fixture(autouse=True)
def database(db):
    """The layout of every page reads the session."""


def test_the_catalogue_is_grouped_by_service_and_counts_risks(client):
    text = text_of(client, "/scopes")
    for category, name in CATEGORY_NAMES.items():
        assert f'<h2 id="category-{category}"><span translate="no">{name}</span></h2>' in text
        assert f'href="#category-{category}"' in text
    critical = sum(scope.risk_level == "critical" for scope in catalogue().values())
    assert f'href="?risk=critical" data-live>{critical} ' in text


@cases("scope", catalogue().values(), ids=lambda scope: scope.id)
def test_each_scope_has_a_page(client, scope):
    text = text_of(client, f"/scopes/{scope.id}")
    assert scope.title in text
    assert scope.description in text
    assert scope.cannot[1:] in text
    assert f'"requiredScopes": ["{scope.id}"]' in text
    assert ("cannot be undone" in text) is not scope.is_reversible
    assert ("You approve every use." in text) is (scope.always_asks and scope.id != DELEGATE)
    assert ("You choose which agents it may hand work to." in text) is (scope.id == DELEGATE)
    assert ("Can send data out" in text) is ("outbound" in scope.labels)
    assert ("You can set limits when you allow it" in text) is is_sensitive(scope)
    assert ("“Ask me every time” is selected" in text) is (is_sensitive(scope) and not scope.always_asks)


@cases("scope_id", ["email", "email:nothing", "x" * 200, "Email:read", "email:read%00"])
def test_an_unknown_scope_is_not_found(client, scope_id):
    assert client.get(f"/scopes/{scope_id}").status_code == 404


def shown(client, query: str) -> list[str]:
    text = text_of(client, f"/scopes?{query}")
    return [scope_id for scope_id in catalogue() if f'id="{scope_id}"' in text]


def test_words_and_risk_narrow_the_list(client):
    assert shown(client, "q=GITHUB+repo:read") == ["github:repo:read"]
    critical = [scope.id for scope in catalogue().values() if scope.risk_level == "critical"]
    assert shown(client, "risk=critical") == critical
    assert shown(client, "risk=critical&q=email") == []
    assert shown(client, "") == list(catalogue())


def test_an_invalid_risk_is_an_error_and_not_applied(client):
    text = text_of(client, "/scopes?risk=huge")
    assert "Select a valid choice" in text
    assert shown(client, "risk=huge") == list(catalogue())


def test_a_search_without_results_offers_all_scopes(client):
    page = client.get("/scopes?q=%3Cscript%3E").content.decode()
    assert "No scope matches" in page
    assert "<script>" not in page


@cases("query", ["q=" + "a" * 5000, "q=%00", "q=%ED%A0%80", "q=.*&risk=%00"])
def test_any_query_is_answered(client, query):
    assert client.get(f"/scopes?{query}").status_code == 200
