"""The consent demo on the landing page. Most of these tests have no database: the demo works without one."""

import re
from html import unescape
from itertools import product
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict

from tests.constants import PASSWORD
from tests.oauth.client import make_client
from tests.shared import cases
from tests.web.consent_screen import Screen, verify
from web.public.landing.demo import ATTEMPTS, show_demo

READ, SEND, PAY = "email:read", "email:send", "payments:charge"
MODE, AMOUNT, CURRENCY, PERIOD = f"mode-{SEND}", f"limit-amount-{PAY}", f"limit-currency-{PAY}", f"limit-period-{PAY}"
SUBSETS = [[READ], [SEND], [PAY], [READ, SEND], [READ, PAY], [SEND, PAY], [READ, SEND, PAY]]
ALL = SUBSETS[-1]
WORDS = {"Allowed": "allowed", "Not allowed": "denied", "You are asked first": "asked", "Denied": "denied"}


def choices(
    scopes: list[str], mode: str = "ask", guard: str = "ask", amount: str = "50", **more: str
) -> dict[str, Any]:
    """Return the fields of the form. Without a guard, its checkbox is not ticked."""
    form = {"scopes": scopes, MODE: mode, "guard_offered": "yes", AMOUNT: amount, CURRENCY: "EUR", PERIOD: "86400"}
    return form | ({"guard": guard} if guard else {})


def page(client: Any, status: int = 200, **query: Any) -> str:
    response = client.get("/", query)
    assert response.status_code == status
    return unescape(response.content.decode())


def outcomes(text: str) -> list[str]:
    """Return the outcomes of the attempts, "" for those without one."""
    rows = re.findall(r'<li class="attempt">(.*?)</li>', text, re.DOTALL)
    pills = [re.search(r'<span class="pill[^>]*>([^<]*)<', row) for row in rows]
    return [WORDS[pill.group(1)] if pill else "" for pill in pills]


def reasons(text: str) -> list[str]:
    return re.findall(r'class="attempt__why">([^<]*)<', text)


def expected(scopes: list[str], mode: str, guard: str, amount: str) -> list[str]:
    """Return what the screen promises for the attempts, which are in the order of ATTEMPTS."""
    asks = mode == "ask" or (guard and READ in scopes)
    send = "denied" if SEND not in scopes else "asked" if asks else "allowed"
    pay = "asked" if PAY in scopes else "denied"
    much = "denied" if amount == "50" else pay
    return ["allowed" if READ in scopes else "denied", send, pay, much, "denied"]


COMBINATIONS = list(product(SUBSETS, ("ask", "allow"), ("ask", ""), ("50", "100", "")))


@cases(("scopes", "mode", "guard", "amount"), COMBINATIONS)
def test_each_combination_has_the_answers_that_it_promises(scopes, mode, guard, amount):
    query = QueryDict(urlencode({"decision": "allow", **choices(scopes, mode, guard, amount)}, doseq=True))
    assert [row.outcome for row in show_demo(query)["rows"]] == expected(scopes, mode, guard, amount)


@cases(
    ("scopes", "mode", "guard", "amount"),
    [
        (ALL, "ask", "ask", "50"),
        (ALL, "allow", "ask", "50"),
        (ALL, "allow", "", ""),
        ([SEND, PAY], "allow", "ask", "100"),
        ([READ], "ask", "ask", "50"),
    ],
)
def test_verify_gives_the_same_answers_after_the_same_form(client, developer, ada, scopes, mode, guard, amount):
    form = choices(scopes, mode, guard, amount)
    screen = Screen(make_client(developer, allowed_scopes=ALL), ada, *ALL)
    screen.browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
    token = screen.token(*form.pop("scopes"), **form)
    decisions = [verify(token, attempt.scope, context=dict(attempt.context)) for attempt in ATTEMPTS]
    asked = ["approval_required" in each.get("reason", "") for each in decisions]
    said = [
        "asked" if asks else "allowed" if each["allowed"] else "denied"
        for asks, each in zip(asked, decisions, strict=True)
    ]
    assert outcomes(page(client, decision="allow", **choices(scopes, mode, guard, amount))) == said


def test_at_first_only_what_is_not_sensitive_is_ticked_and_answered_as_if_it_were_sent(client):
    text = page(client)
    ticked = re.findall(r'name="scopes" value="([^"]*)" checked', text)
    assert ticked == [READ]
    assert outcomes(text) == outcomes(page(client, decision="allow", **choices(ticked))) == ["allowed", *["denied"] * 4]
    assert "Example" in text


def test_its_limits_are_folded_unless_one_is_wrong(client):
    def limits_of(status: int = 200, **query: Any) -> str:
        return re.findall(rf'<details [^>]*id="limits-{PAY}"[^>]*>', page(client, status, **query))[0]

    assert "open" not in limits_of()
    assert " open" in limits_of(422, decision="allow", **choices(ALL, amount="much"))


def test_the_answers_name_the_reason(client):
    text = page(client, decision="allow", **choices(ALL))
    assert reasons(text) == [
        "You chose to be asked every time.",
        "A critical permission always asks.",
        "Your limit: At most €50.00 per day.",
        "The permission had not been granted.",
    ]
    guarded = page(client, decision="allow", **choices(ALL, mode="allow"))
    assert reasons(guarded)[0].startswith("It has read both your private data and what others wrote")


def test_what_the_agent_gets_is_listed_with_its_bounds(client):
    grants = re.search(r'<ul class="grants">(.*?)</ul>', page(client, decision="allow", **choices(ALL)), re.DOTALL)
    listed = re.sub(r"<[^>]*>", "", grants.group(1) if grants else "")
    assert "Read your email" in listed
    assert "Send email as you · asks every time" in listed
    assert "Take payments from you · asks every time · At most €50.00 per day" in listed


def test_denying_gives_the_agent_nothing(client):
    text = page(client, decision="deny", **choices(ALL, mode="allow"))
    assert outcomes(text) == ["denied"] * 5
    assert set(reasons(text)) == {"It has no access."}


def test_switching_it_off_denies_every_further_attempt(client):
    form = choices(ALL, mode="allow")
    assert 'value="off"' in page(client, decision="allow", **form)
    text = page(client, decision="off", **form)
    assert outcomes(text) == ["denied"] * 5
    assert set(reasons(text)) == {"The access had been revoked."}
    assert 'value="off"' not in text


def test_nothing_ticked_is_an_error(client):
    text = page(client, status=422, decision="allow", **choices([]))
    assert "Nothing is ticked" in text
    assert outcomes(text) == [""] * 5


@cases("amount", ["lots", "-1", "0", "1e9", "٣", "9" * 500, "\0", "<b>", "1,000"])
def test_an_amount_that_cannot_be_read_is_an_error_that_names_the_field(client, amount):
    text = page(client, status=422, decision="allow", **choices(ALL, amount=amount))
    assert f'href="#{AMOUNT}"' in text
    assert outcomes(text) == [""] * 5


def test_what_the_visitor_sent_is_escaped(client):
    answer = client.get("/", {"decision": "allow", **choices(ALL, amount="<b>")})
    assert b'value="&lt;b&gt;"' in answer.content


def test_an_unknown_currency_is_an_error(client):
    assert "Choose a currency" in page(client, 422, decision="allow", **choices(ALL) | {CURRENCY: "XXY"})


def test_another_currency_denies_every_payment(client):
    text = page(client, decision="allow", **choices(ALL) | {CURRENCY: "jpy"})
    assert outcomes(text)[2:4] == ["denied", "denied"]


def test_a_missing_amount_is_not_a_limit_because_scripts_leave_out_empty_fields(client):
    form = choices(ALL)
    del form[AMOUNT]
    assert outcomes(page(client, decision="allow", **form))[3] == "asked"


@cases(
    "query",
    [
        {"decision": "maybe"},
        {"scopes": ["files:delete", "x" * 5000, "\0"]},
        {"decision": "deny", AMOUNT: "lots", PERIOD: "86400"},
        {"decision": "allow", "scopes": [READ], MODE: "never", "guard": "deny", PERIOD: "1", "lifetime": "forever"},
        {"decision": "allow", "scopes": [READ, SEND], MODE: ["ask", "nonsense"], "guard_offered": "no"},
        {
            "decision": "allow",
            "scopes": [READ],
            "target-0": "x",
            f"limit-only-{SEND}": "*",
        },
        {"decision": ["allow", "deny"], "scopes": [READ]},
        {"page": "2", "utm_source": "x"},
    ],
)
def test_unknown_values_are_ignored(client, query):
    assert "What happens next" in page(client, **query)


def test_scopes_that_were_not_asked_for_are_never_granted(client):
    assert outcomes(page(client, decision="allow", scopes=[READ, "email:manage"]))[4] == "denied"
