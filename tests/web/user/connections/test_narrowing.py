"""The page of a connection shows its terms in words, and its forms narrow it."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from consent.details import AuthorizationDetail
from consent.models import Consent
from core import clock
from resources.catalogue import catalogue
from tests.log import log_entries
from tests.shared import cases
from tests.web.markup import main_of, text_of

RATE = {"type": "rate_limit", "config": {"maxRequests": 10, "windowSeconds": 3600, "scope": "per_user"}}
TERMS = {"modes": {"email:send": "ask"}, "limits": {"email:read": [RATE]}, "guards": {"data_flow": "ask"}}
READ, SEND = "email:read", "email:send"


@pytest.fixture
def bounded(granted: Consent) -> Consent:
    Consent.objects.filter(pk=granted.pk).update(terms=TERMS)
    return granted


@pytest.fixture
def placed(ada: Any, ask: Any, world: Any) -> Consent:
    """A connection whose scopes are bounded to targets."""
    calendars = AuthorizationDetail(type="calendar", identifiers=["home", "work"], actions=[READ, SEND])
    return world.allow(ask(authorization_details=[calendars]), ada)


def page(client: Client, consent: Consent) -> str:
    return text_of(client, f"/connections/{consent.id}")


def send(client: Client, consent: Consent, change: str, **fields: Any) -> Any:
    """Press a button of a form of the page."""
    data = {name.replace("__", ":").replace("_", "-"): value for name, value in fields.items()}
    return client.post(f"/connections/{consent.id}", {**data, "change": change})


def change(client: Client, consent: Consent, scope: str, **fields: str) -> Any:
    """Send the form of a scope. The fields are named without the scope's id."""
    data = {f"{name}-{scope}": value for name, value in fields.items()}
    data = {name.replace("_", "-", 1) if name.startswith("limit_") else name: value for name, value in data.items()}
    return client.post(f"/connections/{consent.id}", {**data, "scope": scope, "change": "scope"})


def terms_of(consent: Consent) -> Any:
    consent.refresh_from_db()
    return consent.terms


def test_shows_modes_limits_and_the_guard_in_words(as_ada: Client, bounded: Consent) -> None:
    html = page(as_ada, bounded)
    assert html.count("You are asked every time") == html.count("Allowed without asking") == 1
    assert "At most 10 times per hour" in html
    assert 'name="guard" value="ask" checked' in html
    assert 'name="guard" value="allow"' not in html
    assert html.count('value="remove"') == 2


def test_a_guard_that_denies_can_only_be_read(as_ada: Client, bounded: Consent) -> None:
    Consent.objects.filter(pk=bounded.pk).update(terms={"guards": {"data_flow": "deny"}})
    html = page(as_ada, bounded)
    assert "It can send nothing out." in html
    assert 'name="guard"' not in html


def test_scopes_that_cannot_leak_need_no_guard(as_ada: Client, ada: Any, ask: Any, world: Any) -> None:
    assert "Protect your data" not in page(as_ada, world.allow(ask(scopes=["profile:read"]), ada))


def test_switches_a_scope_to_ask(as_ada: Client, bounded: Consent) -> None:
    assert change(as_ada, bounded, READ, mode="ask").status_code == 303
    assert "Saved. It applies from the next request: Read your email." in page(as_ada, bounded)
    assert terms_of(bounded)["modes"] == {READ: "ask", SEND: "ask"}
    assert log_entries(event="consent.narrowed").count() == 1


def test_cannot_switch_back(as_ada: Client, bounded: Consent) -> None:
    html = page(as_ada, bounded)
    assert f'name="mode-{SEND}" value="allow" disabled' in html
    assert "To allow it without asking, let the agent ask you again" in html
    answer = change(as_ada, bounded, SEND, mode="allow")
    assert answer.status_code == 409
    assert "Only a new consent can allow it without asking." in answer.content.decode()
    assert terms_of(bounded) == TERMS


def test_a_critical_scope_offers_no_mode(as_ada: Client, ada: Any, ask: Any, world: Any) -> None:
    html = page(as_ada, world.allow(ask(scopes=["payments:charge"]), ada))
    assert "This permission always asks you." in html
    assert "mode-payments:charge" not in html


def test_sets_and_tightens_limits(as_ada: Client, bounded: Consent) -> None:
    assert change(as_ada, bounded, READ, limit_number="5", limit_window="3600").status_code == 303
    tighter = {**RATE, "config": {**RATE["config"], "maxRequests": 5}}
    assert terms_of(bounded)["limits"] == {READ: [tighter]}
    assert "At most 5 times per hour" in page(as_ada, bounded)
    assert change(as_ada, bounded, SEND, limit_only="acme.com").status_code == 303
    assert "Only to acme.com" in page(as_ada, bounded)


def test_a_wider_limit_is_refused_beside_its_field(as_ada: Client, bounded: Consent) -> None:
    answer = change(as_ada, bounded, READ, limit_number="11", limit_window="3600")
    html = unescape(answer.content.decode())
    assert answer.status_code == 400
    assert "Now: At most 10 times per hour. You can only make this tighter here." in html
    assert f'<a href="#limit-number-{READ}">' in html
    assert f'id="error-limit-number-{READ}"' in html
    assert 'value="11"' in html
    assert terms_of(bounded) == TERMS


def test_only_the_refused_form_is_open(as_ada: Client, bounded: Consent) -> None:
    """The address still names the permission that was changed before."""
    sent = {"scope": SEND, "change": "scope", f"limit-number-{SEND}": "0"}
    html = as_ada.post(f"/connections/{bounded.id}?change={READ}", sent).content.decode()
    assert re.findall(r'id="change">.*?name="scope" value="([^"]+)"', html, re.DOTALL) == [SEND]


def test_a_form_without_changes_changes_nothing(as_ada: Client, bounded: Consent) -> None:
    assert change(as_ada, bounded, READ, mode="allow", limit_number="10", limit_window="3600").status_code == 303
    assert "Nothing changed" in page(as_ada, bounded)
    assert terms_of(bounded) == TERMS
    assert not log_entries(event="consent.narrowed").exists()


def test_removes_a_scope(as_ada: Client, bounded: Consent) -> None:
    assert send(as_ada, bounded, "remove", scope=SEND).status_code == 303
    assert "Removed. The next request that needs it is denied: Send email as you." in page(as_ada, bounded)
    bounded.refresh_from_db()
    assert bounded.granted_scopes == [READ]
    assert 'value="remove"' not in page(as_ada, bounded), "the last scope is removed by revoking"


def test_the_last_scope_is_kept(as_ada: Client, bounded: Consent) -> None:
    send(as_ada, bounded, "remove", scope=SEND)
    answer = send(as_ada, bounded, "remove", scope=READ)
    assert answer.status_code == 400
    assert "or revoke the consent" in answer.content.decode()


def test_a_scope_that_the_developer_removed_can_be_removed_for_good(as_ada: Client, bounded: Consent) -> None:
    bounded.agent.allowed_scopes = [READ]
    bounded.agent.save()
    assert "unless the developer adds them again" in page(as_ada, bounded)
    assert send(as_ada, bounded, "remove", scope=SEND).status_code == 303
    bounded.refresh_from_db()
    assert bounded.granted_scopes == [READ]


def test_removes_targets(as_ada: Client, placed: Consent) -> None:
    data = {"target-0-shown": "yes", "target-0": ["work"], "change": "targets"}
    assert as_ada.post(f"/connections/{placed.id}", data).status_code == 303
    placed.refresh_from_db()
    assert {one["identifiers"][0] for targets in placed.targets.values() for one in targets} == {"work"}
    html = page(as_ada, placed)
    assert 'name="target-0" value="home"' not in html
    assert 'type="checkbox" name="target-0"' not in html, "one target must stay"


@cases(("picks", "status"), [([], 400), (["elsewhere"], 409), (["home", "elsewhere"], 409)])
def test_refuses_no_targets_and_new_ones(as_ada: Client, placed: Consent, picks: list[str], status: int) -> None:
    before = placed.targets
    data = {"target-0-shown": "yes", "target-0": picks, "change": "targets"}
    answer = as_ada.post(f"/connections/{placed.id}", data)
    assert answer.status_code == status
    assert "Nothing was changed" in answer.content.decode()
    placed.refresh_from_db()
    assert placed.targets == before


def test_ends_earlier(as_ada: Client, bounded: Consent) -> None:
    html = page(as_ada, bounded)
    assert 'value="month"' not in html, "the access already ends in 30 days"
    assert send(as_ada, bounded, "lifetime", lifetime="day").status_code == 303
    bounded.refresh_from_db()
    assert 86_000 < (bounded.expires_at - clock.now()).total_seconds() <= 86_400
    assert 'value="week"' not in page(as_ada, bounded)
    assert send(as_ada, bounded, "lifetime", lifetime="week").status_code == 409
    assert send(as_ada, bounded, "lifetime", lifetime="forever").status_code == 400


def test_tightens_the_guard(as_ada: Client, bounded: Consent) -> None:
    assert send(as_ada, bounded, "guard", guard="allow").status_code == 409
    assert send(as_ada, bounded, "guard", guard="never").status_code == 400
    assert send(as_ada, bounded, "guard", guard="ask").status_code == 303
    assert terms_of(bounded) == TERMS
    assert send(as_ada, bounded, "guard", guard="deny").status_code == 303
    assert terms_of(bounded)["guards"] == {"data_flow": "deny"}


@cases(
    "sent",
    [
        {},
        {"change": "allow", "scope": READ},
        {"change": "scope"},
        {"change": "scope", "scope": "calendar:read", "mode-calendar:read": "ask"},
        {"change": "remove", "scope": "no scope"},
        {"change": "scope", "scope": READ, f"limit-number-{READ}": "x"},
    ],
)
def test_refuses_anything_else(as_ada: Client, bounded: Consent, sent: dict[str, str]) -> None:
    assert as_ada.post(f"/connections/{bounded.id}", sent).status_code == 400
    bounded.refresh_from_db()
    assert (bounded.terms, len(bounded.granted_scopes)) == (TERMS, 2)


def test_a_scope_whose_id_is_hostile_is_not_echoed(as_ada: Client, bounded: Consent) -> None:
    answer = send(as_ada, bounded, "remove", scope="<script>")
    assert "<script>" not in answer.content.decode().partition("<main")[2]


def test_a_link_to_a_replaced_consent_narrows_the_current_connection(
    as_ada: Client, ada: Any, ask: Any, world: Any, granted: Consent
) -> None:
    latest = world.allow(ask(), ada)
    assert change(as_ada, granted, READ, mode="ask")["Location"] == f"/connections/{latest.id}?change=email%3Aread"
    assert terms_of(latest)["modes"] == {READ: "ask"}


def test_only_the_user_may(as_bob: Client, bounded: Consent, client: Client) -> None:
    assert change(as_bob, bounded, READ, mode="ask").status_code == 404
    assert change(client, bounded, READ, mode="ask").status_code == 302
    assert terms_of(bounded) == TERMS


def test_an_ended_connection_offers_nothing(as_ada: Client, bounded: Consent) -> None:
    Consent.objects.filter(pk=bounded.pk).update(status="revoked")
    assert "<form" not in main_of(page(as_ada, bounded))
    assert change(as_ada, bounded, READ, mode="ask").status_code == 409


def test_times_are_stored_in_the_zone_that_the_page_named(as_ada: Client, granted: Consent) -> None:
    as_ada.cookies["timezone"] = "Europe/Berlin"
    html = page(as_ada, granted)
    assert '<input type="time" name="limit-from-email:send"' in html
    assert '(<span translate="no">Europe/Berlin</span>' in html
    (zone,) = re.findall(rf'name="limit-zone-{SEND}" value="([^"]+)"', html)

    as_ada.cookies["timezone"] = "Asia/Tokyo"
    times = {"limit_from": "09:00", "limit_until": "17:00", "limit_days": "1234567"}
    change(as_ada, granted, SEND, limit_zone=zone, **times)
    (limit,) = terms_of(granted)["limits"][SEND]
    assert limit["config"]["timezone"] == "Europe/Berlin"
    assert 'value="09:00"' in page(as_ada, granted)


@cases(
    ("sent", "target"),
    [
        ("/connections?q=smart", "/connections?q=smart"),
        ("/connections", "/connections"),
        ("https://evil.example/connections?x=1", None),
        ("/account", None),
        ("//evil.example", None),
        ("http://[", None),
    ],
)
def test_leads_back_to_where_the_form_was(as_ada: Client, bounded: Consent, sent: str, target: str | None) -> None:
    data = {"scope": SEND, "change": "remove", "next": sent}
    answer = as_ada.post(f"/connections/{bounded.id}", data)
    assert answer["Location"] == (target or f"/connections/{bounded.id}")


def test_a_long_connection_has_the_fields_of_one_scope_at_a_time(
    as_ada: Client, ada: Any, developer: Any, world: Any
) -> None:
    scopes = list(catalogue())
    consent = world.allow(world.ask(world.make_agent(developer, allowed_scopes=scopes), scopes=scopes), ada)
    assert "limit-number" not in page(as_ada, consent)
    assert f'href="?change={READ.replace(":", "%3A")}#change"' in page(as_ada, consent)
    html = as_ada.get(f"/connections/{consent.id}", {"change": READ}).content.decode()
    assert re.findall(r'name="limit-number-([^"]+)"', html) == [READ]
    answer = change(as_ada, consent, SEND, limit_number="0")
    assert re.findall(r'name="limit-number-([^"]+)"', answer.content.decode()) == [SEND]


def test_lowers_to_whom_work_is_handed(as_ada: Client, granted: Consent) -> None:
    """The page offers what is as narrow as now, or narrower. Then there is nothing to lower."""
    Consent.objects.filter(pk=granted.pk).update(delegation="developer")
    html = page(as_ada, granted)
    assert re.findall(r'name="delegation" value="(\w+)"', html) == ["none", "developer"]
    assert send(as_ada, granted, "delegation", delegation="developer").status_code == 303
    assert log_entries(event="consent.narrowed").count() == 0
    assert send(as_ada, granted, "delegation", delegation="verified").status_code == 409
    assert send(as_ada, granted, "delegation", delegation="all").status_code == 400
    assert send(as_ada, granted, "delegation", delegation="none").status_code == 303
    html = page(as_ada, granted)
    assert "Saved. It applies from the next request." in html
    assert 'name="delegation"' not in html


def test_says_of_the_permission_to_hand_work_on_what_holds_for_it(
    as_ada: Client, ada: Any, developer: Any, world: Any
) -> None:
    agent = world.make_agent(developer, allowed_scopes=[READ, "agents:delegate"])
    consent = world.allow(world.ask(agent, scopes=[READ, "agents:delegate"]), ada)
    html = page(as_ada, consent)
    assert consent.delegation == "developer"
    assert "You are asked every time" not in html
    assert "You choose below to which agents it may hand work." in html
    assert send(as_ada, consent, "remove", scope="agents:delegate").status_code == 303
    consent.refresh_from_db()
    assert consent.delegation == "none"
