"""Amounts in the fields for limits: never guessed, whatever the region."""

from typing import Any

import pytest

from core.errors import Invalid
from tests.oauth.client import make_client
from tests.shared import cases
from tests.web.consent_screen import Screen
from tests.web.user.connections.test_limit_fields import PAY, read, spend
from web.user.connections.limits.parsing import is_spelled, spell_amount


@cases(("text", "amount"), [("50", "50"), ("12.50", "12.50"), ("12,50", "12.50"), ("12,5", "12.5"), ("0.01", "0.01")])
def test_both_separators_mean_decimals(text: str, amount: str) -> None:
    assert read(scope=PAY, amount=text) == [spend(amount)]


@cases(
    "text",
    [
        *("1.000", "1,000", "12.345", "1,234.50", "1.234,50", "1 000", "1'000", "1,0,0", "."),
        *("0", "0.00", "-5", "+5", "1e3", "1_0", "NaN", "Infinity", "\N{EURO SIGN}5", "\N{ARABIC-INDIC DIGIT THREE}"),
        *("0.001", "9" * 16, "9" * 400),
    ],
)
def test_what_is_not_clear_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(scope=PAY, amount=text)
    assert [(error.field, error.message) for error in caught.value.errors] == [
        (f"limit-amount-{PAY}", "Enter an amount above 0. Write 1000 or 12.50.")
    ]


@cases("value", ["1", "1000", "50.00", "0.5", "1000.05", "1.005", "12.500", "100000000000000"])
def test_what_a_field_shows_reads_as_the_same_amount(value: str) -> None:
    if is_spelled(value):
        assert read(spend(value), scope=PAY, amount=spell_amount(value)) is None


def test_the_consent_page_refuses_an_ambiguous_amount(developer: Any, ada: Any) -> None:
    limit = {f"limit-amount-{PAY}": "1,000", f"limit-currency-{PAY}": "EUR", f"limit-period-{PAY}": "86400"}
    answer = Screen(make_client(developer, allowed_scopes=[PAY]), ada, PAY).send(PAY, **limit)
    assert answer.status_code == 422
    assert "Write 1000 or 12.50." in answer.content.decode()
