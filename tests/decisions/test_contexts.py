"""The part of a context that is logged as an amount."""

from typing import Any

import pytest

from decisions.contexts import amount_for_log
from decisions.currencies import CURRENCIES


@pytest.mark.parametrize("currency", ["EUR", "JPY", "ZWG"])
def test_an_amount_has_a_currency_of_iso_4217(currency: str) -> None:
    amount = {"currency": currency, "value": "12.50"}
    assert amount_for_log({"amount": amount}) == amount


@pytest.mark.parametrize("currency", ["AAA", "eur", "XXX", "XTS", "HRK", "", 978, None, ["EUR"]])
def test_other_currencies_do_not_count(currency: Any) -> None:
    assert amount_for_log({"amount": {"currency": currency, "value": "12.50"}}) is None


def test_there_are_as_many_currencies_as_the_standard_has() -> None:
    assert len(CURRENCIES) == 176
    assert all(len(code) == 3 and code.isalpha() and code.isupper() for code in CURRENCIES)
