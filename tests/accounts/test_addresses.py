"""Normalized email addresses. `tests/accounts/test_pre_hijacking.py` has what they protect."""

import unicodedata
from typing import Any

import pytest
from django.test import Client

from accounts import addresses
from accounts.addresses import normalize_email
from core.errors import Invalid
from tests.api.conftest import Api, problem
from tests.constants import PASSWORD

# NFKC makes eighteen letters of it.
EXPANDS = "\ufdfa"
FORMS = {"/accounts/login/": "login", "/accounts/signup/": "email", "/accounts/password/reset/": "email"}


def test_an_address_is_normalized() -> None:
    assert normalize_email(" Ada@B\u00fccher.example ") == "ada@xn--bcher-kva.example"


@pytest.fixture
def normalized(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the length of each text that is normalized."""
    lengths: list[int] = []

    class Counting:
        @staticmethod
        def normalize(form: Any, text: str) -> str:
            lengths.append(len(text))
            return unicodedata.normalize(form, text)

    monkeypatch.setattr(addresses, "unicodedata", Counting)
    return lengths


def test_a_text_that_is_far_too_long_is_refused_unread(normalized: list[int]) -> None:
    with pytest.raises(Invalid):
        normalize_email(EXPANDS * 1001)
    assert normalized == []


def test_anyone_who_sends_one_gets_an_error_at_the_field(normalized: list[int], db: None) -> None:
    body = {"email": EXPANDS * 100_000, "password": PASSWORD, "name": "Ada"}
    for kind in ("users", "developers"):
        problem(Api().post(f"/{kind}/register", body), 400, "validation_failed", "email")
    for path, field in FORMS.items():
        answer = Client().post(path, {field: EXPANDS * 10_000, "password": PASSWORD})
        assert answer.status_code in (200, 422)
        assert "Must be an email address" in answer.content.decode()
    assert normalized == []
