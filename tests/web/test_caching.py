"""No page that shows the name of a signed-in user is stored."""

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import User
from tests.passkeys import enter_password
from tests.shared import cases
from tests.world import make_developer

# What is the same for everyone may be stored, but only by those who are not signed in.
PUBLIC = ("/", "/scopes", "/docs", "/docs/policies")
# Below it is the name.
SIGN_OUT = b"logout/"


def _paths(patterns: list[URLPattern | URLResolver], prefix: str = "/") -> Iterator[str]:
    """Yield the paths of all views without arguments."""
    for each in patterns:
        path = f"{prefix}{each.pattern}"
        if isinstance(each, URLResolver):
            yield from _paths(each.url_patterns, path)
        elif "<" not in path and "(" not in path:
            yield path.replace("^", "").replace("$", "")


@pytest.fixture
def client(db: None) -> Client:
    make_developer("dev@example.com")
    User.objects.update(is_staff=True, is_superuser=True)
    return enter_password("dev@example.com")


def test_no_page_of_a_signed_in_user_is_stored(client: Client) -> None:
    seen = 0
    for path in sorted(set(_paths(get_resolver().url_patterns))):
        answer = client.get(path)
        if "logout" in path or not answer.get("Content-Type", "").startswith("text/html"):
            continue
        if SIGN_OUT in b"".join(answer):
            seen += 1
            assert "no-store" in answer.get("Cache-Control", ""), path
    assert seen > 30


@cases("path", PUBLIC)
def test_a_public_page_may_be_stored_until_a_user_signs_in(client: Client, path: str) -> None:
    assert "no-store" not in Client().get(path).get("Cache-Control", "")
    assert "no-store" in client.get(path)["Cache-Control"]
