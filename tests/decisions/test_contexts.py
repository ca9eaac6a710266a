"""The part of a context that is logged as an amount."""

from typing import Any

from core.money import CURRENCIES
from decisions.contexts import amount_for_log
from tests.shared import cases


@cases("currency", ["EUR", "JPY", "ZWG"])
def test_an_amount_has_a_currency_of_iso_4217(currency: str) -> None:
    amount = {"currency": currency, "value": "12.50"}
    assert amount_for_log({"amount": amount}) == amount


@cases("currency", ["AAA", "eur", "XXX", "XTS", "HRK", "", 978, None, ["EUR"]])
def test_other_currencies_do_not_count(currency: Any) -> None:
    assert amount_for_log({"amount": {"currency": currency, "value": "12.50"}}) == {"unreadable": True}


def test_there_are_as_many_currencies_as_the_standard_has() -> None:
    assert len(CURRENCIES) == 176
    assert all(len(code) == 3 and code.isalpha() and code.isupper() for code in CURRENCIES)


@cases(("value", "text"), [(1000, "1000"), (1000.0, "1000"), (0, "0"), (-0.0, "0")])
def test_a_whole_number_is_as_good_as_text(value: float, text: str) -> None:
    assert amount_for_log({"amount": {"currency": "EUR", "value": value}}) == {"currency": "EUR", "value": text}


@cases(
    "value", ["+1000", "-1", "1e3", "1000.123456789", "1,5", "", " 1", "1" * 16, 10**15, 1e15, -1, 12.5, True, None, []]
)
def test_any_other_amount_is_unreadable(value: Any) -> None:
    assert amount_for_log({"amount": {"currency": "EUR", "value": value}}) == {"unreadable": True}


@cases("amount", ["12.50", 12, 0, False, [], {}, {"currency": "EUR"}, {"value": "1"}])
def test_what_is_not_an_amount_is_unreadable(amount: Any) -> None:
    assert amount_for_log({"amount": amount}) == {"unreadable": True}


@cases("name", ["multiplier", "Value", "currency ", ""])
def test_an_amount_with_another_member_is_unreadable(name: str) -> None:
    assert amount_for_log({"amount": {"currency": "EUR", "value": "10.00", name: 100}}) == {"unreadable": True}


@cases("context", [{}, {"amount": None}, {"text": "12.50 EUR"}])
def test_a_context_without_an_amount(context: Any) -> None:
    assert amount_for_log(context) is None
