"""Amounts in the fields for limits: read as the user's locale writes them, and never guessed."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from consent.models import Consent
from core.local import LocalMiddleware
from tests.oauth.client import make_client
from tests.web.consent_screen import Screen
from web.user.connections.limits.amounts import how_to_write, is_spelled, read_amount, spell_amount

REGIONS = ("US", "DE", "CH", "FR", "SE", "IN")
PAY = "payments:charge"
GERMAN = {"Accept-Language": "de-DE,de"}


def in_region[Result](region: str, call: Callable[[], Result]) -> Result:
    """Return what the call returns for a browser of this region."""
    found = []

    def view(_request: HttpRequest) -> HttpResponse:
        found.append(call())
        return HttpResponse()

    LocalMiddleware(view)(RequestFactory().get("/", headers={"Accept-Language": f"en-{region}"}))
    return found[0]


def read(text: str, region: str = "US", currency: str = "EUR") -> str | None:
    return in_region(region, lambda: read_amount(text, currency))


@pytest.mark.parametrize(
    ("region", "text", "amount"),
    [
        ("US", "50", "50"),
        ("US", "12.50", "12.50"),
        ("US", "0.01", "0.01"),
        ("US", "1,234.50", "1234.50"),
        ("US", "1,000,000", "1000000"),
        ("DE", "12,5", "12.5"),
        ("DE", "1.234,50", "1234.50"),
        ("DE", "1.000.000", "1000000"),
        ("CH", "1'000.50", "1000.50"),
        ("CH", "1\N{RIGHT SINGLE QUOTATION MARK}000", "1000"),
        ("SE", "1 000", "1000"),
        ("SE", "1 000,50", "1000.50"),
        ("IN", "1,00,000", "100000"),
    ],
)
def test_an_amount_is_read_as_the_region_writes_it(region: str, text: str, amount: str) -> None:
    assert read(text, region) == amount


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("text", ["1.000", "1,000", "12.345", "999,999", "1.000.00", "1,0,0"])
def test_what_could_be_thousands_or_decimals_is_refused_everywhere(region: str, text: str) -> None:
    assert read(text, region) is None


@pytest.mark.parametrize(
    ("text", "region", "currency"),
    [
        ("12,50", "US", "EUR"),
        ("12.50", "DE", "EUR"),
        ("1 000", "US", "EUR"),
        ("0.001", "US", "EUR"),
        ("1234.567", "US", "EUR"),
        ("5.5", "US", "JPY"),
        ("1.2345", "US", "KWD"),
        ("1,000", "US", "KWD"),
        ("0", "US", "EUR"),
        ("0.00", "US", "EUR"),
        ("9" * 16, "US", "EUR"),
        ("-5", "US", "EUR"),
        ("+5", "US", "EUR"),
        ("1e3", "US", "EUR"),
        ("1_0", "US", "EUR"),
        ("NaN", "US", "EUR"),
        ("Infinity", "US", "EUR"),
        ("\N{EURO SIGN}5", "US", "EUR"),
        ("\N{ARABIC-INDIC DIGIT THREE}", "US", "EUR"),
        (".", "US", "EUR"),
    ],
)
def test_an_amount_that_is_not_clear_is_refused(text: str, region: str, currency: str) -> None:
    assert read(text, region, currency) is None


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD", "CLF"])
@pytest.mark.parametrize(
    "value", ["1", "1000", "50.00", "0.5", "1000.05", "1.005", "12.500", "1234567.1234", "100000000000000"]
)
def test_what_a_field_shows_reads_as_the_same_amount(region: str, currency: str, value: str) -> None:
    if in_region(region, lambda: is_spelled(value, currency)):
        shown = in_region(region, lambda: spell_amount(value, currency))
        assert Decimal(read(shown, region, currency) or 0) == Decimal(value)


@pytest.mark.parametrize(
    ("region", "currency", "example"),
    [
        ("US", "EUR", "1000 or 12.50."),
        ("DE", "EUR", "1000 or 12,50."),
        ("US", "JPY", "Write 1000."),
        ("US", "KWD", "12.500"),
    ],
)
def test_the_error_says_how_to_write_it(region: str, currency: str, example: str) -> None:
    assert example in in_region(region, lambda: how_to_write(currency))


def test_the_page_of_a_connection_refuses_an_ambiguous_amount(
    as_ada: Client, ada: Any, developer: Any, world: Any
) -> None:
    consent = world.allow(world.ask(world.make_agent(developer, allowed_scopes=[PAY]), scopes=[PAY]), ada)
    form = {"scope": PAY, "change": "scope", f"limit-currency-{PAY}": "EUR", f"limit-period-{PAY}": "86400"}

    answer = as_ada.post(f"/connections/{consent.id}", {**form, f"limit-amount-{PAY}": "1.000"}, headers=GERMAN)
    assert answer.status_code == 400
    assert "Write 1000 or 12,50." in answer.content.decode()

    as_ada.post(f"/connections/{consent.id}", {**form, f"limit-amount-{PAY}": "1.000,50"}, headers=GERMAN)
    assert Consent.objects.get(pk=consent.pk).terms["limits"][PAY][0]["config"]["maxAmount"] == "1000.50"
    shown = as_ada.get(f"/connections/{consent.id}", headers=GERMAN).content.decode()
    assert 'value="1000,50"' in shown


def test_the_consent_page_refuses_an_ambiguous_amount(developer: Any, ada: Any) -> None:
    limit = {f"limit-amount-{PAY}": "1,000", f"limit-currency-{PAY}": "EUR", f"limit-period-{PAY}": "86400"}
    answer = Screen(make_client(developer, allowed_scopes=[PAY]), ada, PAY).send(PAY, **limit)
    assert answer.status_code == 422
    assert "Write 1000 or 12.50." in answer.content.decode()


def test_more_digits_than_a_number_has_are_not_read() -> None:
    assert read("9" + ",999" * 9) is None
    assert read("9" * 400) is None
