"""A service is named with its host and its organization."""

import pytest

from resources.selectors import NamedService, services_among
from tests.world import make_developer, make_resource_server

pytestmark = pytest.mark.django_db


def test_services_are_found_by_id_and_by_identifier():
    books = make_developer("books@example.com", organization="Books")
    server = make_resource_server(books, "https://api.books.example:8443/v1").server
    expected = NamedService(
        server.id,
        "https://api.books.example:8443/v1",
        server.name,
        "api.books.example:8443",
        books.organization_id,
        "Books",
        None,
    )
    assert services_among([server.id, "res_unknown"], []) == [expected]
    assert services_among([], [server.identifier, "https://unknown.example"]) == [expected]
