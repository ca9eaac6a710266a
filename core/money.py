"""Amounts of money, exact: decimals as text, and whole units of 10**-8 for adding up. Never floats."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

# The active codes of ISO 4217, without those for tests and "none".
_CODES = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL
HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA
MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD
RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD
USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XUA YER ZAR
ZMW ZWG
"""
CURRENCIES = frozenset(_CODES.split())
PLACES = 8
MEMBERS = frozenset({"value", "currency"})
VALUE = re.compile(r"[0-9]{1,15}(\.[0-9]{1,8})?")


class Amount(NamedTuple):
    """An amount as it was stated. `value` is a decimal number without a sign."""

    value: str
    currency: str

    @property
    def units(self) -> int:
        return units_of(self.value)


def read_amount(raw: Any) -> Amount | None:
    """Return the amount `{"value": "12.50", "currency": "EUR"}`, or None if it is anything else.

    Its value is a decimal number without a sign, as text, or a whole number, and its currency an active code of
    ISO 4217. With another member, such as a multiplier, it could be another amount to the service than to us.
    """
    if not isinstance(raw, Mapping) or raw.keys() != MEMBERS:
        return None
    value, currency = read_value(raw["value"]), raw["currency"]
    if value is None:
        return None
    return Amount(value, currency) if isinstance(currency, str) and currency in CURRENCIES else None


def has_other_members(raw: Any) -> bool:
    """Return whether an amount, or one in a list, has members besides its value and currency."""
    if isinstance(raw, list):
        return any(map(has_other_members, raw))
    return isinstance(raw, Mapping) and not raw.keys() <= MEMBERS


def read_units(raw: Any) -> int:
    """Return an amount in whole units of 10**-8, or 0 if `read_amount` cannot read it."""
    amount = read_amount(raw)
    return amount.units if amount else 0


def read_value(raw: Any) -> str | None:
    """Return the value of an amount as text, or None if it is not one."""
    value = _spell(raw)
    return value if isinstance(value, str) and VALUE.fullmatch(value) else None


def units_of(value: str) -> int:
    """Return a value that `VALUE` matches in whole units of 10**-8."""
    whole, _, fraction = value.partition(".")
    return int(whole + fraction.ljust(PLACES, "0"))


def _spell(value: Any) -> Any:
    """Return a whole number as text. Canonical JSON, which the log has, spells 1000.0 and 1e3 as 1000."""
    is_whole = type(value) is int or (type(value) is float and value.is_integer())
    return str(int(value)) if is_whole else value
