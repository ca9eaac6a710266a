"""A choice of a currency, by its name in the language of the page."""

from typing import Any

from babel.numbers import get_currency_name, get_territory_currencies
from django import forms

from core.local import local_locale
from core.money import CURRENCIES

# Offered besides that of the user's region and that of a limit in force.
OFFERED = """
AED ARS AUD BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR JPY KES KRW MAD MXN MYR NGN NOK NZD PEN PHP
PLN RON SAR SEK SGD THB TRY TWD UAH USD VND ZAR
"""
FALLBACK_CURRENCY = "EUR"


def currencies(chosen: str) -> list[tuple[str, str]]:
    """Return the currencies to choose from, by their names in the language of the page."""
    codes = {*OFFERED.split(), own_currency(), *({chosen} & CURRENCIES)}
    names = {code: get_currency_name(code, locale=local_locale()) for code in codes}
    return [(code, f"{name} ({code})") for code, name in sorted(names.items(), key=lambda one: one[1])]


def own_currency() -> str:
    """Return the currency of the user's region."""
    territory = local_locale().territory
    found = get_territory_currencies(territory) if territory else []
    return str(found[0]) if found else FALLBACK_CURRENCY


class CurrencySelect(forms.Select):
    """A select of the usual currencies, and of the one that is chosen."""

    def optgroups(self, name: str, value: list[str], attrs: Any = None) -> Any:
        self.choices = currencies(value[0] if value else "")
        return super().optgroups(name, value, attrs)
