"""HTTP Basic credentials and pagination."""

from base64 import b64encode

import pytest
from django.test import RequestFactory

from core.errors import NotAuthenticated
from core.http import page_after, read_basic
from core.models import IdempotencyRecord
from tests.limits.test_counters import NOW
from tests.shared import cases


def basic(text: str, scheme: str = "Basic") -> str:
    return f"{scheme} {b64encode(text.encode()).decode()}"


def ask(header: str):
    return RequestFactory().get("/", headers={"Authorization": header}).headers


def test_id_and_secret_of_a_credential_are_decoded() -> None:
    credential = read_basic(ask(basic("https%3A%2F%2Fagent.example:a+b%3A", "bAsIc")))
    assert credential
    assert (credential.name, credential.secret) == ("https://agent.example", "a b:")
    assert "a b:" not in repr(credential)


def test_a_missing_header_returns_none() -> None:
    assert read_basic({}) is None
    assert read_basic(ask(basic("id:secret")), "x-resource-server") is None


@cases(
    "header",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic /w==",
        "Bearer st_1",
        basic("id"),
        basic(":secret"),
        basic("id:%00"),
        basic("i%0Ad:secret"),
        basic("id:secret", "Basics"),
    ],
)
def test_a_malformed_credential_is_refused(header: str) -> None:
    with pytest.raises(NotAuthenticated):
        read_basic(ask(header))


@pytest.mark.django_db
def test_pages_contain_every_row_once() -> None:
    for key in "abcde":
        IdempotencyRecord.objects.create(key=key, expires_at=NOW)
    rows, seen, last_id = IdempotencyRecord.objects.order_by("-pk"), [], ""
    for expected in ("d", "b", ""):
        page, last_id = page_after(rows, last_id, 2)
        seen += [row.pk for row in page]
        assert last_id == expected
    assert seen == list("edcba")
    assert page_after(rows, "", 5) == (list(rows), "")
