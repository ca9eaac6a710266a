"""Sums of money, exactly."""

from __future__ import annotations

import re
from decimal import Context, Decimal
from functools import reduce

from .errors import Broken, quote
from .strict_json import Fraction

_DECIMAL = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40})?")
_AMOUNT = {"currency", "value"}
# An amount that a decision only reserved has this member, which is true. It counts once it is committed.
_RESERVED = "reserved"
# Enough digits that no sum of the log is ever rounded.
_EXACT = Context(prec=200)

# The totals of a connection have no more currencies than this. Amounts in further ones do not count in them.
MAX_CURRENCIES = 16

Spent = dict[str, Decimal]
Reserved = tuple[str, Decimal]
"""A currency and an amount."""


def parse_decimal(value: object, what: str) -> Decimal:
    """Return a decimal that JSON has as a string or as a number. Raises `Broken`."""
    text = value.text if isinstance(value, Fraction) else str(value)
    if not isinstance(value, (str, int, Fraction)) or not _DECIMAL.fullmatch(text):
        raise Broken(f"{what} is not an amount: {quote(value)}")
    return Decimal(text)


def parse_spent(value: object) -> Spent:
    """Return what a connection spent, by currency. Raises `Broken`."""
    if not isinstance(value, dict):
        raise Broken("spent is not an object")
    if len(value) > MAX_CURRENCIES:
        raise Broken(f"spent has more than {MAX_CURRENCIES} currencies")
    return {currency: parse_decimal(sum_, "spent") for currency, sum_ in value.items()}


def is_unreadable(value: object) -> bool:
    """Return whether the part `amount` says that the service sent an amount that the server could not read."""
    return isinstance(value, dict) and value.keys() == {"unreadable"} and value["unreadable"] is True


def check_amount(value: object, sent: object) -> None:
    """Check the part `amount`, None without it, against the amount in the context that was sent. Raises `Broken`."""
    if is_unreadable(value) and sent is not None:
        return
    expected = sent
    if isinstance(sent, dict):
        expected = {name: str(one) if type(one) is int else one for name, one in sent.items()}
    if isinstance(value, dict) and _is_reserved(value):
        value = {name: one for name, one in value.items() if name != _RESERVED}
    if value != expected:
        raise Broken(f"amount is {quote(value)}, and the context has {quote(sent)}")


def parse_amount(value: object, *, can_be_reserved: bool) -> Spent:
    """Return the part `amount` of an entry as a sum. Raises `Broken`.

    An unreadable one adds nothing, nor does one that a decision reserved: it counts once it is committed.
    """
    if is_unreadable(value) or (can_be_reserved and _is_reserved(value)):
        return {}
    if not isinstance(value, dict) or value.keys() != _AMOUNT:
        raise Broken("amount is not a currency and a value")
    if not isinstance(value["currency"], str):
        raise Broken("the currency of amount is not a string")
    return {value["currency"]: parse_decimal(value["value"], "the value of amount")}


def parse_reserved(value: object) -> Reserved | None:
    """Return the part `amount` of a decision that only reserved it, or None for any other. Raises `Broken`."""
    if not isinstance(value, dict) or not _is_reserved(value):
        return None
    return str(value["currency"]), parse_decimal(value["value"], "the value of amount")


def total(*amounts: Decimal) -> Decimal:
    """Return the sum, exactly."""
    return reduce(_EXACT.add, amounts, Decimal())


def _is_reserved(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == {*_AMOUNT, _RESERVED} and value[_RESERVED] is True


def add(one: Spent, other: Spent) -> Spent:
    """Return the sum by currency. Currencies in which nothing was spent are left out."""
    sums = {
        currency: _EXACT.add(one.get(currency, Decimal()), other.get(currency, Decimal())) for currency in one | other
    }
    return {currency: sum_ for currency, sum_ in sums.items() if sum_}


def count(spent: Spent, amount: Spent) -> Spent:
    """Return the totals of a connection after an amount, with every currency that counts."""
    room = MAX_CURRENCIES - len(spent)
    sums = {currency: _EXACT.add(spent.get(currency, Decimal()), sum_) for currency, sum_ in amount.items()}
    return {**spent, **{currency: sum_ for currency, sum_ in sums.items() if currency in spent or room > 0}}


def subtract(one: Spent, other: Spent) -> Spent:
    """Return the difference by currency, which can be negative. Equal currencies are left out."""
    return add(one, {currency: -sum_ for currency, sum_ in other.items()})


def show(spent: Spent) -> str:
    return ", ".join(f"{sum_:f} {quote(currency)[1:-1]}" for currency, sum_ in sorted(spent.items())) or "nothing"
