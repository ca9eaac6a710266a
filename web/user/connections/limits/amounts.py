"""Amounts in a form field, as the user's locale writes them: read strictly, and shown so that they read the same."""

import re
from decimal import Decimal, InvalidOperation

from babel.numbers import (
    NumberFormatError,
    format_decimal,
    get_currency_precision,
    get_decimal_symbol,
    get_group_symbol,
    parse_decimal,
)
from django.utils.translation import gettext as _

from core.local import local_locale
from core.money import VALUE, units_of

NUMBER = re.compile(r"[0-9.,'\N{RIGHT SINGLE QUOTATION MARK}\s]+")
# 1.000 is a thousand in one country and one in the next.
AMBIGUOUS = re.compile(r"[0-9]{1,3}[.,][0-9]{3}")
# Keyboards have one kind of space and of apostrophe, and locales use others.
SPACES, APOSTROPHES = re.compile(r"\s"), re.compile("['\N{RIGHT SINGLE QUOTATION MARK}]")
THOUSAND, FRACTIONAL = Decimal(1000), Decimal("12.5")


def read_amount(text: str, currency: str) -> str | None:
    """Return the amount as a rule has it, or None if it is not clear, not above 0 or too exact for the currency."""
    places = get_currency_precision(currency)
    if not NUMBER.fullmatch(text) or _is_ambiguous(text, places):
        return None
    try:
        amount = parse_decimal(_respell(text), local_locale(), strict=True)
    except (NumberFormatError, InvalidOperation):
        return None
    value = f"{amount:f}"
    is_usable = _places_of(amount) <= places and VALUE.fullmatch(value) and units_of(value)
    return value if is_usable else None


def spell_amount(value: str, currency: str) -> str:
    """Return the amount of a rule as the field shows it: with all decimals of the currency, or none."""
    amount, places = Decimal(value), get_currency_precision(currency)
    pattern = "0" if amount == amount.to_integral_value() else f"0.{'0' * places}"
    return format_decimal(amount, pattern, local_locale(), decimal_quantization=False)


def is_spelled(value: str, currency: str) -> bool:
    """Return whether a field can show the amount of a rule. Rules may be more exact than their currency."""
    return _places_of(Decimal(value).normalize()) <= get_currency_precision(currency)


def how_to_write(currency: str) -> str:
    """Return the message for an amount that cannot be used."""
    whole = spell_amount(str(THOUSAND), currency)
    if not get_currency_precision(currency):
        return _("Enter a whole amount above 0. Write %(whole)s.") % {"whole": whole}
    words = {"whole": whole, "exact": spell_amount(str(FRACTIONAL), currency)}
    return _("Enter an amount above 0. Write %(whole)s or %(exact)s.") % words


def _is_ambiguous(text: str, places: int) -> bool:
    """Return whether three digits after the only separator could be decimals, or thousands.

    If the currency has three decimals or more, they are decimals after the decimal separator of the locale: a user
    who means thousands gets a limit that is too tight, never one that is too wide.
    """
    return bool(AMBIGUOUS.fullmatch(text)) and (places < 3 or get_decimal_symbol(local_locale()) not in text)


def _respell(text: str) -> str:
    """Return the text with the locale's own kind of space or apostrophe between groups of digits."""
    symbol = get_group_symbol(local_locale())
    for kind in (SPACES, APOSTROPHES):
        if kind.fullmatch(symbol):
            return kind.sub(symbol, text)
    return text


def _places_of(amount: Decimal) -> int:
    return max(0, -int(amount.as_tuple().exponent))
