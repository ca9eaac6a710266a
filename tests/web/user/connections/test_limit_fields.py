"""The limits that users set in rows of fields: what the fields show, and which rules they become."""

from typing import Any

import pytest
from django.http import QueryDict
from django.template.loader import render_to_string

from core.errors import Invalid
from resources.catalogue import Scope, catalogue
from tests.shared import cases
from web.user.connections.limits.descriptions import limits_in_words
from web.user.connections.limits.form import limit_fields, read_limits

SEND, PAY, READ = "email:send", "payments:charge", "email:read"


def rate(number: int, seconds: int = 86_400) -> dict[str, Any]:
    return {"type": "rate_limit", "config": {"maxRequests": number, "windowSeconds": seconds, "scope": "per_user"}}


def spend(amount: str, currency: str = "EUR", seconds: int = 86_400) -> dict[str, Any]:
    config = {"maxAmount": amount, "currency": currency, "windowSeconds": seconds, "scope": "per_user"}
    return {"type": "spend_limit", "config": config}


def only(*patterns: str) -> dict[str, Any]:
    condition = {"field": "recipient", "operator": "matches_any", "values": list(patterns)}
    return {"type": "context_match", "config": {"conditions": [condition]}}


def window(start: str, end: str, days: str = "1234567", zone: str = "UTC") -> dict[str, Any]:
    config = {"allowedDays": [int(day) for day in days], "startTimeUtc": start, "endTimeUtc": end, "timezone": zone}
    return {"type": "time_window", "config": config}


def posted(scope: str = SEND, **fields: str) -> QueryDict:
    data = QueryDict(mutable=True)
    given = {
        "number": "",
        "window": "86400",
        "amount": "",
        "currency": "EUR",
        "period": "86400",
        "only": "",
        "from": "",
        "zone": "UTC",
    }
    for name, value in {**given, "until": "", "days": "1234567", **fields}.items():
        data[f"limit-{name}-{scope}"] = value
    return data


def read(*current: dict[str, Any], scope: str = SEND, may_widen: bool = False, **fields: str) -> Any:
    found = read_limits(posted(scope, **fields), [catalogue()[scope]], {scope: list(current)}, may_widen=may_widen)
    return found.get(scope)


def error_of(*current: dict[str, Any], scope: str = SEND, **fields: str) -> tuple[str, str]:
    with pytest.raises(Invalid) as caught:
        read(*current, scope=scope, **fields)
    (error,) = caught.value.errors
    return error.field, error.message


def kinds(scope: Scope, *current: dict[str, Any]) -> list[str]:
    return [row.kind for row in limit_fields(scope, current).rows]


def shown(*current: dict[str, Any], scope: str = SEND, **options: Any) -> str:
    fields = limit_fields(catalogue()[scope], current, **options)
    return render_to_string("components/limit_editor.html", {"fields": fields})


@cases(
    ("scope", "expected"),
    [
        (READ, ["number", "from"]),
        ("github:repo:write", ["number", "from"]),
        (SEND, ["number", "only", "from"]),
        (PAY, ["number", "amount", "only", "from"]),
        ("shopping:cart", ["number", "from"]),
        ("payments:read", ["number", "from"]),
    ],
)
def test_a_scope_has_the_rows_that_make_sense_for_it(scope: str, expected: list[str]) -> None:
    assert kinds(catalogue()[scope]) == expected


def test_a_scope_of_an_organization_that_sends_something_final_can_have_all_limits() -> None:
    scope = Scope("shop:order", "shop", "high", "Order", "", "", defined_by="Shop", labels=frozenset({"outbound"}))
    assert kinds(scope) == ["number", "amount", "only", "from"]


def test_a_limit_in_force_has_its_row_whatever_the_scope() -> None:
    assert kinds(catalogue()[READ], spend("5"), only("a@b.c")) == ["number", "amount", "only", "from"]


@cases(
    ("fields", "expected"),
    [
        ({"number": "20", "window": "3600"}, rate(20, 3600)),
        ({"only": "acme.com, bob@example.com"}, only("*@acme.com", "acme.com", "bob@example.com")),
        ({"only": " @ACME.com ;#general"}, only("*@acme.com", "acme.com", "#general")),
        ({"from": "09:00", "until": "17:00", "days": "12345"}, window("09:00", "17:00", "12345")),
        ({"from": "09:00", "until": "17:00", "zone": "Asia/Tokyo"}, window("09:00", "17:00", zone="Asia/Tokyo")),
    ],
)
def test_a_row_becomes_a_rule(fields: dict[str, str], expected: dict[str, Any]) -> None:
    assert read(**fields) == [expected]


def test_an_amount_becomes_a_rule_in_the_currency() -> None:
    assert read(scope=PAY, amount="50", currency=" usd", period="604800") == [spend("50", "USD", 604_800)]


@cases(
    ("scope", "fields", "name", "message"),
    [
        (SEND, {"number": "0"}, "number", "from 1 to 1000000"),
        (SEND, {"number": "many"}, "number", "whole number"),
        (SEND, {"number": "9" * 40}, "number", "whole number"),
        (SEND, {"number": "5", "window": "x"}, "number", "Choose one of the values"),
        (SEND, {"only": "*@acme.com"}, "only", "Leave out * and ?."),
        (SEND, {"only": "bob@"}, "only", "whole addresses"),
        (SEND, {"only": "a\u200bb"}, "only", "invisible"),
        (SEND, {"only": ",".join(f"a{n}@b.c" for n in range(101))}, "only", "at most 100"),
        (SEND, {"from": "09:00"}, "from", "two different times"),
        (SEND, {"from": "09:00", "until": "09:00"}, "from", "two different times"),
        (SEND, {"from": "25:00", "until": "09:00"}, "from", "Choose one of the values"),
        (SEND, {"from": "08:00", "until": "09:00", "days": ""}, "from", "Choose one of the values"),
        (SEND, {"from": "08:00", "until": "09:00", "zone": "Mars/Base"}, "from", "Choose one of the values"),
        (SEND, {"from": "08:00", "until": "09:00", "zone": ""}, "from", "Choose one of the values"),
        (PAY, {"amount": "0"}, "amount", "above 0"),
        (PAY, {"amount": "-5"}, "amount", "above 0"),
        (PAY, {"amount": "1,000"}, "amount", "Write 1000 or 12.50."),
        (PAY, {"amount": "5", "currency": "EURO"}, "amount", "Choose a currency"),
    ],
)
def test_what_cannot_be_a_limit_is_refused_with_its_field(
    scope: str, fields: dict[str, str], name: str, message: str
) -> None:
    field, text = error_of(scope=scope, **fields)
    assert field == f"limit-{name}-{scope}"
    assert message in text


def test_all_wrong_fields_are_named_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        read(number="x", only="*")
    assert [error.field for error in caught.value.errors] == [f"limit-number-{SEND}", f"limit-only-{SEND}"]


def test_empty_fields_and_missing_ones_say_nothing() -> None:
    assert read() is None
    assert read(rate(5), only("a@b.c")) is None
    assert read_limits(QueryDict(), [catalogue()[SEND]], {SEND: [rate(5)]}, may_widen=True) == {}


def test_unchanged_fields_say_nothing() -> None:
    stored = spend("50.00")
    stored["config"]["scope"] = "per_agent"  # within a connection, all scopes count the same
    assert read(stored, scope=PAY, amount="50") is None


@cases(
    ("current", "fields", "expected"),
    [
        ([rate(20)], {"number": "10"}, [rate(10)]),
        ([rate(20)], {"number": "5", "window": "3600"}, [rate(20), rate(5, 3600)]),
        ([only("*@acme.com", "acme.com", "x@y.z")], {"only": "acme.com"}, [only("*@acme.com", "acme.com")]),
        ([only("*@acme.com", "acme.com")], {"only": "bob@acme.com"}, [only("bob@acme.com")]),
        ([only("a@b.c")], {"number": "3"}, [only("a@b.c"), rate(3)]),
    ],
)
def test_a_limit_becomes_tighter_and_keeps_the_others(current: Any, fields: Any, expected: Any) -> None:
    assert read(*current, **fields) == expected


@pytest.mark.parametrize(
    ("current", "scope", "fields", "now"),
    [
        (rate(20), SEND, {"number": "21"}, "At most 20 times per day"),
        (only("*@acme.com", "acme.com"), SEND, {"only": "acme.com, eve@example.com"}, "Only to acme.com"),
        (only("*@acme.com", "acme.com"), SEND, {"only": "eve@example.com"}, "Only to acme.com"),
        (spend("50"), PAY, {"amount": "51"}, "per day"),
        (spend("50"), PAY, {"amount": "5", "currency": "USD"}, "per day"),
    ],
)
def test_a_wider_limit_is_refused_and_the_one_in_force_named(current: Any, scope: str, fields: Any, now: str) -> None:
    field, message = error_of(current, scope=scope, **fields)
    assert field == f"limit-{next(iter(fields))}-{scope}"
    assert now in message
    assert "let the agent ask you again" in message


def test_in_a_consent_the_fields_are_the_whole_of_what_they_show() -> None:
    assert read(rate(20), may_widen=True, number="50") == [rate(50)]
    assert read(rate(20), only("a@b.c"), may_widen=True, only="a@b.c") == [only("a@b.c")]
    assert read(rate(20), rate(5, 60), may_widen=True, number="10", window="3600") == [rate(5, 60), rate(10, 3600)]


def test_the_editor_shows_what_is_in_force_and_opens() -> None:
    text = shown(rate(20), rate(100, 604_800), only("*@acme.com", "acme.com", "x@y.z"))
    assert "<details" in text
    assert " open>" in text
    assert f'name="limit-number-{SEND}"' in text
    assert 'value="20"' in text
    assert "At most 100 times per week" in text
    assert 'value="acme.com, x@y.z"' in text


def test_the_editor_without_limits_is_closed() -> None:
    assert " open>" not in shown()
    assert "Set a limit" in shown()


def test_the_editor_keeps_what_was_sent_and_says_what_is_wrong() -> None:
    data = posted(number="<b>")
    with pytest.raises(Invalid) as caught:
        read_limits(data, [catalogue()[SEND]], {})
    text = shown(posted=data, errors=caught.value.errors)
    assert 'value="&lt;b&gt;"' in text
    assert 'aria-invalid="true"' in text
    assert f'id="error-limit-number-{SEND}"' in text
    assert " open>" in text


def test_a_window_is_shown_in_its_own_zone() -> None:
    stored = window("09:00", "17:00", zone="America/New_York")
    text = shown(stored)
    assert 'value="09:00"' in text
    assert '(<span translate="no">America/New York</span> time)' in text
    assert f'<input type="hidden" name="limit-zone-{SEND}" value="America/New_York"' in text
    sent = {"from": "09:00", "until": "17:00", "zone": "America/New_York"}
    assert read(stored, **sent) is None
    assert read(stored, may_widen=True, **{**sent, "until": "18:00"}) == [
        window("09:00", "18:00", zone="America/New_York")
    ]


def test_the_zone_that_was_sent_is_kept_unless_it_is_none() -> None:
    assert 'value="Asia/Tokyo"' in shown(posted=posted(zone="Asia/Tokyo"))
    text = shown(posted=posted(zone="<b>"))
    assert "&lt;b" not in text
    assert f'name="limit-zone-{SEND}" value="UTC"' in text


def test_an_amount_that_is_more_exact_than_its_currency_is_shown_in_words() -> None:
    text = shown(spend("0.005"), scope=PAY)
    assert 'value="0' not in text
    assert "At most €0.005 per day" in text


@cases(
    ("limit", "words"),
    [
        (rate(1), "At most once per day"),
        (rate(20, 3600), "At most 20 times per hour"),
        (rate(20, 900), "At most 20 times per 15 minutes"),
        (spend("50.00"), "At most €50.00 per day"),
        (spend("50", "JPY", 604_800), "At most ¥50 per week"),
        (only("*@acme.com", "acme.com", "x@y.z"), "Only to acme.com or x@y.z"),
        ({"type": "unknown"}, "A limit that cannot be read, so every use is denied"),
    ],
)
def test_limits_read_as_sentences(limit: Any, words: str) -> None:
    assert limits_in_words([limit]) == [words]
