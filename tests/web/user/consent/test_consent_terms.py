"""The consent screen offers modes, an end and the guard; it asks for the password before critical scopes."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from consent.models import Consent
from core import clock
from resources.custom_scopes import ScopeDefinition
from tests.constants import PASSWORD
from tests.shared import cases
from tests.web.markup import text_of
from tests.world import allow, make_agent, make_resource_server, sign_in
from tests.world import ask as request_consent

RATE = {"type": "rate_limit", "config": {"maxRequests": 10, "windowSeconds": 3600, "scope": "per_user"}}
TRIFECTA = ["email:read", "email:send"]


@pytest.fixture
def browser(ada: Any) -> Client:
    """Ada's browser, just after she signed in."""
    client = Client()
    client.post("/accounts/login/", {"login": "ada@example.com", "password": PASSWORD})
    return client


@pytest.fixture
def agent(developer: Any) -> Any:
    scopes = ["email:read", "email:send", "calendar:read", "calendar:write", "payments:charge", "files:write"]
    return make_agent(developer, allowed_scopes=scopes)


def page(client: Client, consent: Consent) -> str:
    return text_of(client, f"/consent/{consent.id}")


def state_shown(client: Client, consent: Consent) -> str:
    state: str = client.get(f"/consent/{consent.id}").context["connection_state"]
    return state


def send(client: Client, consent: Consent, *scopes: str, **fields: str) -> Any:
    form = {"decision": "allow", "scopes": list(scopes), **fields}
    return client.post(f"/consent/{consent.id}", form)


def field(html: str, name: str) -> str:
    return re.findall(rf' name="{name}"[^>]* value="([^"]*)"', html)[0]


def checked(html: str) -> dict[str, str]:
    """Return the preselected mode of each scope that has a choice."""
    return dict(re.findall(r'type="radio" name="mode-([a-z:]+)" value="(\w+)" checked', html))


def bound(consent: Consent, **terms: Any) -> Consent:
    Consent.objects.filter(pk=consent.pk).update(terms=terms)
    return consent


class TestModes:
    def test_high_and_irreversible_scopes_are_preselected_to_ask(self, as_ada: Client, agent: Any) -> None:
        wanted = ["email:read", "email:send", "calendar:write", "files:write", "payments:charge"]
        html = page(as_ada, request_consent(agent, scopes=wanted))
        assert checked(html) == {"email:send": "ask", "files:write": "ask"}
        assert html.count("Ask me every time") == html.count("Allow without asking") == 2
        assert html.count("Asks you every time.") == 1
        assert 'name="mode-payments:charge"' not in html

    def test_an_organizations_scope_is_asked_for_if_risky_or_final(self, as_ada: Client, developer: Any) -> None:
        make_resource_server(
            developer,
            "https://notes.example/",
            ScopeDefinition("notes:send", "low", "Send notes", "Send", "read"),
            ScopeDefinition("notes:read", "low", "Read notes", "Read", "send", is_reversible=True),
            ScopeDefinition("notes:close", "high", "Close notes", "Close", "send", is_reversible=True),
            ScopeDefinition("notes:burn", "critical", "Burn notes", "Burn", "read"),
        )
        scopes = ["notes:send", "notes:read", "notes:close", "notes:burn"]
        html = page(as_ada, request_consent(make_agent(developer, allowed_scopes=scopes), scopes=scopes))
        assert checked(html) == {"notes:send": "ask", "notes:close": "ask"}
        assert html.count("Cannot be undone") == 2
        assert html.count("Asks you every time.") == 1

    def test_the_choice_is_stored(self, as_ada: Client, agent: Any) -> None:
        consent = request_consent(agent, scopes=["email:send", "files:write"])
        fields = {"mode-email:send": "allow", "mode-files:write": "ask"}
        assert send(as_ada, consent, "email:send", "files:write", **fields).status_code == 303
        consent.refresh_from_db()
        assert consent.terms == {"modes": {"files:write": "ask"}}

    def test_without_a_choice_the_preselected_one_counts(self, as_ada: Client, agent: Any) -> None:
        consent = request_consent(agent, scopes=["email:send", "email:read"])
        assert send(as_ada, consent, "email:send", "email:read").status_code == 303
        consent.refresh_from_db()
        assert consent.terms == {"modes": {"email:send": "ask"}}

    def test_the_mode_of_a_scope_that_is_not_ticked_does_not_matter(self, as_ada: Client, agent: Any) -> None:
        consent = request_consent(agent, scopes=["email:send", "email:read"])
        assert send(as_ada, consent, "email:read", **{"mode-email:send": "allow"}).status_code == 303
        consent.refresh_from_db()
        assert consent.terms == {}

    def test_a_critical_scope_cannot_be_allowed_without_asking(self, browser: Client, agent: Any) -> None:
        consent = request_consent(agent, scopes=["payments:charge"])
        answer = send(browser, consent, "payments:charge", **{"mode-payments:charge": "allow"})
        assert answer.status_code == 400
        consent.refresh_from_db()
        assert consent.status == "pending"

    def test_live_scopes_keep_their_mode(self, as_ada: Client, agent: Any, ada: Any) -> None:
        bound(
            allow(request_consent(agent, scopes=["email:read", "email:send", "files:write"]), ada),
            modes={"email:read": "ask", "files:write": "ask"},
        )
        consent = request_consent(agent, scopes=["calendar:read"])
        html = page(as_ada, consent)
        assert checked(html) == {"email:read": "ask", "email:send": "allow", "files:write": "ask"}
        send(as_ada, consent, "email:read", "email:send", "files:write", connection=state_shown(as_ada, consent))
        consent.refresh_from_db()
        assert consent.terms == {"modes": {"email:read": "ask", "files:write": "ask"}}

    def test_a_double_click_with_another_mode_is_another_decision(self, as_ada: Client, agent: Any) -> None:
        consent = request_consent(agent, scopes=["email:send"])
        click = {"mode-email:send": "ask", "lifetime": "3600"}
        first, second = (send(as_ada, consent, "email:send", **click) for _ in range(2))
        assert first["Location"] == second["Location"]
        assert send(as_ada, consent, "email:send", **{**click, "mode-email:send": "allow"}).status_code == 409
        assert send(as_ada, consent, "email:send", **{**click, "lifetime": "86400"}).status_code == 409


class TestLimits:
    def test_are_shown_in_words_and_kept(self, as_ada: Client, agent: Any, ada: Any) -> None:
        bound(allow(request_consent(agent, scopes=["email:read"]), ada), limits={"email:read": [RATE]})
        consent = request_consent(agent, scopes=["calendar:read"])
        assert field(page(as_ada, consent), "limit-number-email:read") == "10"
        send(as_ada, consent, "email:read", connection=state_shown(as_ada, consent))
        consent.refresh_from_db()
        assert consent.terms == {"limits": {"email:read": [RATE]}}

    def test_that_cannot_be_read_are_said_to_deny(self, as_ada: Client, agent: Any, ada: Any) -> None:
        broken = {"type": "no_such", "config": {}}
        bound(allow(request_consent(agent, scopes=["email:read"]), ada), limits={"email:read": [broken]})
        assert "every use is denied" in page(as_ada, request_consent(agent, scopes=["calendar:read"]))


class TestEnd:
    def test_offers_four_and_preselects_30_days(self, as_ada: Client, agent: Any) -> None:
        with time_machine.travel("2026-11-01T12:00:00Z", tick=False):
            html = page(as_ada, request_consent(agent))
        select = re.findall(r'<select[^>]* name="lifetime".*?</select>', html, re.DOTALL)[0]
        offered = re.findall(r'<option value="(\d+)"( selected)?>([^<]+)<', select)
        assert offered == [
            ("3600", "", "In 1 hour"),
            ("86400", "", "In 1 day (Nov 2, 2026)"),
            ("2592000", " selected", "In 30 days (Dec 1, 2026)"),
            ("7776000", "", "In 90 days (Jan 30, 2027)"),
        ]

    def test_a_connection_ends_as_before_unless_the_user_chooses_another_end(
        self, as_ada: Client, agent: Any, ada: Any
    ) -> None:
        first = request_consent(agent)
        assert send(as_ada, first, "email:read", lifetime="3600").status_code == 303
        first.refresh_from_db()
        second = request_consent(agent)
        html = page(as_ada, second)
        assert re.search(r'<option value="as-now" selected>As before \(', html)
        fields = {"connection": state_shown(as_ada, second), "lifetime": "as-now"}
        for _ in range(2):  # a double click
            assert send(as_ada, second, "email:read", **fields).status_code == 303
        second.refresh_from_db()
        assert second.expires_at == first.expires_at
        assert "keep the same access" in as_ada.get("/activity").content.decode()

    def test_keeping_the_end_is_another_decision_than_choosing_one(self, as_ada: Client, agent: Any) -> None:
        assert send(as_ada, request_consent(agent), "email:read", lifetime="3600").status_code == 303
        later = request_consent(agent)
        fields = {"connection": state_shown(as_ada, later), "lifetime": "2592000"}
        assert send(as_ada, later, "email:read", **fields).status_code == 303
        assert send(as_ada, later, "email:read", **{**fields, "lifetime": "as-now"}).status_code == 409

    def test_a_later_end_is_named_in_the_history(self, as_ada: Client, agent: Any) -> None:
        assert send(as_ada, request_consent(agent), "email:read", lifetime="3600").status_code == 303
        later = request_consent(agent)
        fields = {"connection": state_shown(as_ada, later), "lifetime": "86400"}
        assert send(as_ada, later, "email:read", **fields).status_code == 303
        assert "The access ends later than before" in as_ada.get("/activity").content.decode()

    def test_the_date_is_in_the_users_zone(self, as_ada: Client, agent: Any) -> None:
        as_ada.cookies["timezone"] = "Pacific/Auckland"
        with time_machine.travel("2026-11-26T11:30:00Z", tick=False):
            assert "In 1 day (Nov 28, 2026)" in page(as_ada, request_consent(agent))

    @cases("seconds", [3600, 86_400, 7_776_000])
    def test_the_chosen_end_counts(self, as_ada: Client, agent: Any, seconds: int) -> None:
        consent = request_consent(agent)
        assert send(as_ada, consent, "email:read", lifetime=str(seconds)).status_code == 303
        consent.refresh_from_db()
        assert consent.expires_at - consent.decided_at == timedelta(seconds=seconds)

    @cases("sent", ["", "0", "7776001", "99999999999", "never", "3600.0"])
    def test_another_end_is_refused(self, as_ada: Client, agent: Any, sent: str) -> None:
        consent = request_consent(agent)
        assert send(as_ada, consent, "email:read", lifetime=sent).status_code == 400
        consent.refresh_from_db()
        assert consent.status == "pending"


class TestGuard:
    def test_is_offered_and_preselected_if_the_scopes_cover_all_labels(self, as_ada: Client, agent: Any) -> None:
        html = page(as_ada, request_consent(agent, scopes=TRIFECTA))
        assert 'name="guard" value="ask" checked' in html
        assert "Ask me before my private data can leave" in html
        assert 'name="guard"' not in page(as_ada, request_consent(agent, scopes=["email:read", "calendar:read"]))

    def test_counts_live_scopes_and_labels_of_organizations(
        self, as_ada: Client, ada: Any, developer: Any, agent: Any
    ) -> None:
        allow(request_consent(agent, scopes=["email:read"]), ada)
        assert 'name="guard"' in page(as_ada, request_consent(agent, scopes=["email:send"]))
        own = ScopeDefinition("notes:sync", "low", "Sync", "Sync", "x", labels=["private", "untrusted", "outbound"])
        make_resource_server(developer, "https://notes.example/", own)
        other = make_agent(developer, allowed_scopes=["notes:sync"])
        assert 'name="guard"' in page(as_ada, request_consent(other, scopes=["notes:sync"]))

    def test_is_stored_if_it_is_ticked(self, as_ada: Client, agent: Any) -> None:
        consent = request_consent(agent, scopes=TRIFECTA)
        send(as_ada, consent, *TRIFECTA, guard_offered="yes", guard="ask")
        consent.refresh_from_db()
        assert consent.terms["guards"] == {"data_flow": "ask"}

    def test_is_removed_only_if_it_was_offered(self, as_ada: Client, agent: Any, ada: Any) -> None:
        bound(allow(request_consent(agent, scopes=TRIFECTA), ada), guards={"data_flow": "deny"})
        first, second = request_consent(agent, scopes=TRIFECTA), request_consent(agent, scopes=TRIFECTA)
        html = page(as_ada, first)
        assert 'name="guard" value="deny" checked' in html
        assert "Never let my private data leave" in html
        send(as_ada, first, *TRIFECTA, connection=state_shown(as_ada, first))
        first.refresh_from_db()
        assert first.terms["guards"] == {"data_flow": "deny"}
        send(as_ada, second, *TRIFECTA, connection=state_shown(as_ada, second), guard_offered="yes")
        second.refresh_from_db()
        assert "guards" not in second.terms


class TestPassword:
    @pytest.fixture
    def consent(self, agent: Any) -> Consent:
        return request_consent(agent, scopes=["email:read", "email:send", "payments:charge"])

    def test_is_not_needed_without_a_critical_scope(self, as_ada: Client, consent: Consent) -> None:
        assert send(as_ada, consent, "email:read").status_code == 303
        consent.refresh_from_db()
        assert consent.status == "approved"

    def test_is_not_needed_just_after_it_was_entered(self, browser: Client, consent: Consent) -> None:
        assert send(browser, consent, "payments:charge").status_code == 303
        consent.refresh_from_db()
        assert consent.terms == {"modes": {"payments:charge": "ask"}, "critical": ["payments:charge"]}

    def test_is_asked_for_and_the_choices_are_kept(self, as_ada: Client, consent: Consent) -> None:
        fields = {"mode-email:send": "allow", "lifetime": "86400", "guard_offered": "yes"}
        answer = send(as_ada, consent, "payments:charge", "email:send", **fields)
        form = f"/accounts/reauthenticate/?next=%2Fconsent%2F{consent.id}"
        assert (answer.status_code, answer["Location"]) == (303, form)
        consent.refresh_from_db()
        assert consent.status == "pending"
        shown = as_ada.get(form).content.decode()
        assert "You are about to let SmartMail do this: Take payments from you." in shown
        assert re.search(r'name="password"[^>]* autofocus', shown)
        assert f'<a class="button" href="/consent/{consent.id}">Cancel</a>' in shown
        cancelled = page(as_ada, consent)
        assert re.findall(r'name="scopes" value="([a-z:]+)" checked', cancelled) == ["payments:charge", "email:send"]
        back = as_ada.post(form, {"password": PASSWORD, "next": f"/consent/{consent.id}"})
        assert back["Location"] == f"/consent/{consent.id}"
        consent.refresh_from_db()
        assert consent.status == "pending", "entering the password decides nothing"
        html = page(as_ada, consent)
        assert "Nothing has been decided yet." in html
        assert "Nothing has been changed yet" not in html
        assert re.findall(r'name="scopes" value="([a-z:]+)" checked', html) == ["payments:charge", "email:send"]
        assert checked(html) == {"email:send": "allow"}
        assert '<option value="86400" selected>' in html
        assert 'name="guard" value="ask" ' in html
        assert 'name="guard" value="ask" checked' not in html
        assert send(as_ada, consent, "payments:charge", "email:send", **fields).status_code == 303
        consent.refresh_from_db()
        assert consent.terms == {"modes": {"payments:charge": "ask"}, "critical": ["payments:charge"]}
        assert "kept_consent_form" not in as_ada.session

    def test_counts_for_five_minutes(self, browser: Client, consent: Consent) -> None:
        with time_machine.travel(clock.now() + timedelta(minutes=5, seconds=1)):
            answer = send(browser, consent, "payments:charge")
            assert answer["Location"].startswith("/accounts/reauthenticate/")

    @cases(
        "fields",
        [{"lifetime": "86400"}, {"lifetime": "3600", "guard_offered": "yes"}],
        ids=["a later end", "the guard unticked"],
    )
    def test_is_asked_for_if_a_live_critical_scope_is_widened(
        self, browser: Client, consent: Consent, agent: Any, fields: dict[str, str]
    ) -> None:
        scopes = ("email:read", "email:send", "payments:charge")
        send(browser, consent, *scopes, guard_offered="yes", guard="ask", lifetime=fields["lifetime"])
        renewal = request_consent(agent, scopes=["email:read"])
        with time_machine.travel(clock.now() + timedelta(minutes=6)):
            Consent.objects.filter(pk=consent.pk).update(expires_at=clock.now() + timedelta(hours=2))
            answer = send(browser, renewal, *scopes, connection=state_shown(browser, renewal), **fields)
            assert answer["Location"].startswith("/accounts/reauthenticate/")
            renewal.refresh_from_db()
            assert renewal.status == "pending"

    def test_is_not_needed_if_a_live_critical_scope_ends_no_later(
        self, browser: Client, consent: Consent, agent: Any
    ) -> None:
        send(browser, consent, "payments:charge", lifetime="86400")
        renewal = request_consent(agent, scopes=["email:read"])
        with time_machine.travel(clock.now() + timedelta(minutes=6)):
            shown = state_shown(browser, renewal)
            assert send(browser, renewal, "payments:charge", connection=shown, lifetime="3600").status_code == 303

    def test_the_choices_are_kept_for_this_request_only(self, as_ada: Client, consent: Consent, agent: Any) -> None:
        send(as_ada, consent, "payments:charge")
        other = request_consent(agent, scopes=["email:read", "payments:charge"])
        html = page(as_ada, other)
        assert "Nothing has been decided yet." not in html
        assert 'value="payments:charge" checked' not in html

    def test_an_unverified_request_of_another_user_keeps_nothing(self, consent: Consent, bob: Any) -> None:
        Consent.objects.filter(pk=consent.pk).update(hinted_user_id="usr_someone")
        assert send(sign_in(bob), consent, "payments:charge").status_code == 404
