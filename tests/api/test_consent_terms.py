"""A user bounds what they approve: modes, limits, guards and the end of the connection."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from consent.connections import CONSENT_LIFETIME
from consent.models import Consent
from tests.api.conftest import Api, Json, credentials, expect, initiate, new_agent, problem, tokens_for
from tests.log import log_entries, personal_data
from tests.shared import cases
from tests.world import sign_in

LONG = {"type": "context_match", "config": {"conditions": [{}] * 5000}}
RATE = {"type": "rate_limit", "config": {"maxRequests": 10, "windowSeconds": 3600, "scope": "per_user"}}
OFFICE = {"type": "ip_allowlist", "config": {"cidrs": ["203.0.113.0/24"]}}
ALL = ["email:read", "email:send", "calendar:read", "payments:charge", "files:delete", "agents:delegate"]
SIX_MINUTES = timedelta(minutes=6)
NOTES = {
    "id": "notes:send",
    "riskLevel": "low",
    "title": "Send notes",
    "description": "Send your notes",
    "cannot": "read them",
}


@pytest.fixture
def agent(developer: Api) -> Json:
    return new_agent(developer, allowedScopes=ALL)


def approve(agent: Json, person: Api, *requested: str, status: int = 200, **body: Any) -> Json:
    consent = initiate(agent, requestedScopes=list(requested))
    return {**expect(status, person.post(f"/consent/{consent}/approve", body)), "id": consent}


def refuse(agent: Json, person: Api, *requested: str, code: str = "validation_failed", **body: Any) -> Json:
    """Return the problem of an approval, after checking that it has decided nothing."""
    consent = initiate(agent, requestedScopes=list(requested))
    answer = person.post(f"/consent/{consent}/approve", body)
    assert answer.status_code >= 400
    assert answer.json()["code"] == code, answer.json()
    assert Consent.objects.get(pk=consent).status == "pending"
    return answer.json()


def fields(refusal: Json) -> list[str]:
    return [error["field"] for error in refusal["errors"]]


def terms_of(person: Api) -> Json:
    newest = expect(200, person.get("/users/me/consents"))["items"][0]
    return {name: newest[name] for name in ("modes", "limits", "guards") if newest[name]}


class TestApproving:
    def test_bounds_nothing_by_default(self, agent: Json, ada: Api) -> None:
        approved = approve(agent, ada, "email:read", "email:send")
        assert Consent.objects.get(pk=approved["id"]).terms == {}
        assert terms_of(ada) == {}

    def test_stores_what_the_user_says(self, agent: Json, ada: Api) -> None:
        said = {
            "modes": {"email:send": "ask", "email:read": "allow"},
            "limits": {"email:send": [RATE, OFFICE], "email:read": []},
            "guards": {"data_flow": "ask"},
        }
        approved = approve(agent, ada, "email:read", "email:send", **said)
        stored = {
            "modes": {"email:send": "ask"},
            "limits": {"email:send": [RATE, OFFICE]},
            "guards": {"data_flow": "ask"},
        }
        assert Consent.objects.get(pk=approved["id"]).terms == stored
        assert terms_of(ada) == stored
        shown = expect(200, ada.get(f"/consent/{approved['id']}"))
        assert {name: shown[name] for name in stored} == stored

    def test_shows_the_terms_to_the_owner_only(self, agent: Json, ada: Api, developer: Api) -> None:
        approved = approve(agent, ada, "email:read", modes={"email:read": "ask"})
        shown = expect(200, developer.get(f"/consent/{approved['id']}"))
        assert not {"grantedScopes", "modes", "limits", "guards"} & set(shown)

    @cases(
        ("said", "field"),
        [
            ({"modes": {"calendar:read": "ask"}}, "modes.calendar:read"),
            ({"modes": {"no such": "ask"}}, "modes.no such"),
            ({"modes": {"email:read": "never"}}, "modes.email:read"),
            ({"modes": "ask"}, "modes"),
            ({"modes": None}, "modes"),
            ({"limits": {"calendar:read": [RATE]}}, "limits.calendar:read"),
            ({"limits": {"email:read": RATE}}, "limits.email:read"),
            ({"limits": {"email:read": ["x"]}}, "limits.email:read.0"),
            ({"limits": {"email:read": [RATE] * 6}}, "limits.email:read"),
            ({"limits": {"email:read": [OFFICE, {"type": "nope", "config": {}}]}}, "limits.email:read.1.type"),
            ({"limits": {"email:read": [{**RATE, "more": 1}]}}, "limits.email:read.0.more"),
            ({"limits": {"email:read": [LONG]}}, "limits.email:read.0.config.conditions"),
            ({"limits": []}, "limits"),
            ({"guards": {"data_flow": "maybe"}}, "guards.data_flow"),
            ({"guards": {"dataFlow": "ask"}}, "guards.dataFlow"),
            ({"guards": None}, "guards"),
            ({"expiresInSeconds": 3599}, "expiresInSeconds"),
            ({"expiresInSeconds": 7_776_001}, "expiresInSeconds"),
            ({"expiresInSeconds": "3600"}, "expiresInSeconds"),
            ({"mode": {}}, "mode"),
        ],
    )
    def test_names_what_is_wrong(self, agent: Json, ada: Api, said: Json, field: str) -> None:
        assert fields(refuse(agent, ada, "email:read", **said)) == [field]

    def test_names_the_field_of_a_rule(self, agent: Json, ada: Api) -> None:
        wrong = {**RATE, "config": {**RATE["config"], "maxRequests": 0}}
        refusal = refuse(agent, ada, "email:read", limits={"email:read": [RATE, wrong]})
        assert fields(refusal) == ["limits.email:read.1.config.maxRequests"]

    def test_refuses_actions_in_a_limit(self, agent: Json, ada: Api) -> None:
        wrong = {**RATE, "config": {**RATE["config"], "actions": ["email:read"]}}
        refusal = refuse(agent, ada, "email:read", limits={"email:read": [wrong]})
        assert fields(refusal) == ["limits.email:read.0.config.actions"]
        assert "Leave out actions" in refusal["errors"][0]["message"]

    @cases(
        ("kind", "hint"),
        [
            ("data_flow", 'guards: {"data_flow": "ask"}'),
            ("delegation", "Send delegation"),
            ("cedar", "Policies in Cedar belong to organizations"),
            ("action_allowlist", "remove scopes"),
            ("action_blocklist", "remove scopes"),
        ],
    )
    def test_refuses_types_that_cannot_bound_a_scope(self, agent: Json, ada: Api, kind: str, hint: str) -> None:
        refusal = refuse(agent, ada, "email:read", limits={"email:read": [{"type": kind, "config": {}}]})
        assert fields(refusal) == ["limits.email:read.0.type"]
        assert hint in refusal["errors"][0]["message"]

    def test_bounds_the_size_of_all_terms(self, agent: Json, ada: Api) -> None:
        many = {"type": "ip_allowlist", "config": {"cidrs": [f"2001:db8:{n:x}::/48" for n in range(200)]}}
        refusal = refuse(agent, ada, "email:read", limits={"email:read": [many] * 5})
        assert fields(refusal) == ["limits"]
        assert "16384 bytes" in refusal["errors"][0]["message"]

    def test_sets_the_end_of_the_connection(self, agent: Json, ada: Api) -> None:
        for seconds in (3600, 86_400, 7_776_000):
            now = timezone.now()
            consent = Consent.objects.get(pk=approve(agent, ada, "email:read", expiresInSeconds=seconds)["id"])
            assert timedelta(0) <= consent.expires_at - now - timedelta(seconds=seconds) < timedelta(minutes=1)
        consent = Consent.objects.get(pk=approve(agent, ada, "email:read")["id"])
        assert consent.expires_at - consent.decided_at == CONSENT_LIFETIME

    @cases("said, mode", [("verified", "verified"), ("none", "none"), (None, "developer")])
    def test_says_to_whom_work_is_handed(self, agent: Json, ada: Api, developer: Api, said: Any, mode: str) -> None:
        body = {"delegation": said} if said else {}
        consent = approve(agent, ada, "email:read", "agents:delegate", **body)["id"]
        assert expect(200, ada.get("/users/me/consents"))["items"][0]["delegation"] == mode
        assert expect(200, ada.get(f"/consent/{consent}"))["delegation"] == mode
        assert "delegation" not in expect(200, developer.get(f"/consent/{consent}"))

    def test_logs_the_terms_and_the_limits_as_personal_data(self, agent: Json, ada: Api, developer: Api) -> None:
        approve(agent, ada, "email:read", "email:send", modes={"email:read": "ask"}, limits={"email:send": [OFFICE]})
        for reader in (ada.get("/users/me/audit-logs?event=consent.approved"), developer.get("/audit?limit=1")):
            metadata = expect(200, reader)["items"][0]["metadata"]
            assert metadata["modes"] == {"email:read": "ask"}
            assert metadata["limits"] == {"email:send": ["ip_allowlist"]}
            assert datetime.fromisoformat(metadata["expiresAt"])
            assert "203.0.113" not in str(metadata)
        entry = log_entries().get(event="consent.approved")
        assert personal_data(entry.id)["terms"]["limits"] == {"email:send": [OFFICE]}


class TestCriticalScopes:
    @cases("scope", ["payments:charge", "files:delete", "agents:delegate"])
    def test_always_ask(self, agent: Json, ada: Api, scope: str) -> None:
        refusal = refuse(agent, ada, "email:read", scope, modes={scope: "allow"})
        assert fields(refusal) == [f"modes.{scope}"]
        assert refusal["errors"][0]["message"] == "Critical scopes always ask."
        approve(agent, ada, "email:read", scope)
        assert terms_of(ada) == {"modes": {scope: "ask"}}

    def test_of_an_organization_ask_by_the_risk_that_the_user_saw(self, developer: Api, ada: Api) -> None:
        def define(risk: str) -> Json:
            return {**NOTES, "riskLevel": risk}

        body = {"name": "Notes", "identifier": "https://notes.example/api", "scopes": [define("critical")]}
        server = expect(201, developer.post("/resource-servers", body))
        agent = new_agent(developer, allowedScopes=["notes:send"])
        shown = initiate(agent, requestedScopes=["notes:send"])
        expect(200, developer.patch(f"/resource-servers/{server['id']}", {"scopes": [define("low")]}))
        problem(
            ada.post(f"/consent/{shown}/approve", {"modes": {"notes:send": "allow"}}),
            400,
            "validation_failed",
            "modes.notes:send",
        )
        expect(200, ada.post(f"/consent/{shown}/approve"))
        assert terms_of(ada) == {"modes": {"notes:send": "ask"}}

    def test_need_a_recent_sign_in(self, agent: Json, ada: Any, anonymous: Api) -> None:
        consent = initiate(agent, requestedScopes=["email:read", "payments:charge"])
        with time_machine.travel(timezone.now() + SIX_MINUTES):
            refusal = problem(ada.post(f"/consent/{consent}/approve"), 403, "reauthentication_required")
            assert "password" in refusal["title"] + refusal["detail"]
            assert Consent.objects.get(pk=consent).status == "pending"
            body = {"email": "ada@example.com", "password": "correct-horse-battery-7"}
            token = expect(200, anonymous.post("/users/login", body))["sessionToken"]
            fresh = Api(Authorization=f"Bearer {token}")
            expect(200, fresh.post(f"/consent/{consent}/approve"))

    def test_need_no_recent_sign_in_if_they_are_left_out_or_live(self, agent: Json, ada: Any) -> None:
        approve(agent, ada, "payments:charge", "email:read")
        later = initiate(agent, requestedScopes=["email:send", "files:delete"])
        same = initiate(agent, requestedScopes=["payments:charge"])
        with time_machine.travel(timezone.now() + SIX_MINUTES):
            sooner = {"expiresInSeconds": 86_400}
            expect(200, ada.post(f"/consent/{later}/approve", {"scopes": ["email:send"], **sooner}))
            expect(200, ada.post(f"/consent/{same}/approve", {"expiresInSeconds": 3600}))
        assert terms_of(ada) == {"modes": {"payments:charge": "ask"}}

    def test_need_a_recent_sign_in_to_lose_a_limit(self, agent: Json, ada: Any) -> None:
        approve(agent, ada, "payments:charge", limits={"payments:charge": [RATE]})
        again = initiate(agent, requestedScopes=["payments:charge"])
        with time_machine.travel(timezone.now() + SIX_MINUTES):
            body = {"limits": {"payments:charge": []}, "expiresInSeconds": 3600}
            problem(ada.post(f"/consent/{again}/approve", body), 403, "reauthentication_required")

    @cases("scope", ["payments:charge", "email:read"])
    def test_need_a_recent_sign_in_to_last_longer(self, agent: Json, ada: Any, scope: str) -> None:
        """A request of another scope moves the end of the whole connection."""
        approve(agent, ada, "payments:charge", expiresInSeconds=3600)
        again = initiate(agent, requestedScopes=[scope])
        with time_machine.travel(timezone.now() + SIX_MINUTES):
            body = {"expiresInSeconds": 3600}
            problem(ada.post(f"/consent/{again}/approve", body), 403, "reauthentication_required")

    def test_need_no_recent_sign_in_to_last_longer_once_they_are_removed(self, agent: Json, ada: Any) -> None:
        approve(agent, ada, "payments:charge", expiresInSeconds=3600)
        again = initiate(agent, requestedScopes=["payments:charge", "email:read"])
        with time_machine.travel(timezone.now() + SIX_MINUTES):
            expect(200, ada.post(f"/consent/{again}/approve", {"scopes": ["email:read"]}))

    @cases(("before", "after"), [("deny", "ask"), ("deny", "allow"), ("ask", "allow")])
    def test_need_a_recent_sign_in_to_lose_a_guard(self, agent: Json, ada: Any, before: str, after: str) -> None:
        approve(agent, ada, "payments:charge", guards={"data_flow": before})
        again = initiate(agent, requestedScopes=["email:read"])
        with time_machine.travel(timezone.now() + SIX_MINUTES):
            body = {"guards": {"data_flow": after}, "expiresInSeconds": 3600}
            problem(ada.post(f"/consent/{again}/approve", body), 403, "reauthentication_required")

    def test_need_no_recent_sign_in_to_gain_a_guard(self, agent: Json, ada: Any) -> None:
        approve(agent, ada, "payments:charge", guards={"data_flow": "ask"})
        again = initiate(agent, requestedScopes=["payments:charge"])
        with time_machine.travel(timezone.now() + SIX_MINUTES):
            body = {"guards": {"data_flow": "deny"}, "expiresInSeconds": 3600}
            expect(200, ada.post(f"/consent/{again}/approve", body))

    def test_cannot_be_granted_by_a_browser_session_without_a_password(self, agent: Json, ada: Any) -> None:
        from accounts.models import User

        browser = sign_in(User.objects.get(pk=ada.id))
        consent = initiate(agent, requestedScopes=["payments:charge"])
        answer = browser.post(f"/api/v1/consent/{consent}/approve", {}, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (403, "reauthentication_required")

    def test_a_refused_approval_can_be_repeated_with_its_idempotency_key(self, agent: Json, ada: Any) -> None:
        consent = initiate(agent, requestedScopes=["payments:charge"])
        path = f"/consent/{consent}/approve"
        with time_machine.travel(timezone.now() + SIX_MINUTES):
            problem(ada.post(path, Idempotency_Key="one"), 403, "reauthentication_required")
        expect(200, ada.post(path, Idempotency_Key="one"))


class TestRenewal:
    @pytest.fixture(autouse=True)
    def _connected(self, agent: Json, ada: Api) -> None:
        approve(
            agent,
            ada,
            "email:read",
            "email:send",
            modes={"email:send": "ask"},
            limits={"email:send": [RATE], "email:read": [OFFICE]},
            guards={"data_flow": "deny"},
        )

    def test_keeps_the_terms_of_scopes_that_it_does_not_mention(self, agent: Json, ada: Api) -> None:
        before = terms_of(ada)
        approve(agent, ada, "calendar:read")
        assert terms_of(ada) == before

    def test_keeps_the_terms_of_live_scopes_that_it_requests_without_a_word(self, agent: Json, ada: Api) -> None:
        before = terms_of(ada)
        approve(agent, ada, "email:read", "email:send")
        assert terms_of(ada) == before

    def test_widens_only_what_is_said(self, agent: Json, ada: Api) -> None:
        approve(agent, ada, "email:send", modes={"email:send": "allow"}, guards={"data_flow": "ask"})
        assert terms_of(ada) == {
            "limits": {"email:send": [RATE], "email:read": [OFFICE]},
            "guards": {"data_flow": "ask"},
        }
        approve(agent, ada, "email:send", limits={"email:read": []}, guards={"data_flow": "allow"})
        assert terms_of(ada) == {"limits": {"email:send": [RATE]}}

    def test_adds_to_what_is_kept(self, agent: Json, ada: Api) -> None:
        approve(agent, ada, "calendar:read", modes={"calendar:read": "ask", "email:read": "ask"})
        assert terms_of(ada)["modes"] == {"calendar:read": "ask", "email:read": "ask", "email:send": "ask"}

    def test_drops_the_terms_of_scopes_that_end(self, agent: Json, ada: Api) -> None:
        approve(agent, ada, "email:send", "calendar:read", scopes=["calendar:read"])
        assert terms_of(ada) == {"limits": {"email:read": [OFFICE]}, "guards": {"data_flow": "deny"}}
        approve(agent, ada, "email:send")
        assert "email:send" not in terms_of(ada)["limits"]

    def test_after_the_end_starts_without_terms(self, agent: Json, ada: Api) -> None:
        Consent.objects.filter(status="approved").update(expires_at=timezone.now())
        approve(agent, ada, "email:send")
        assert terms_of(ada) == {}

    def test_sets_the_end_of_the_whole_connection(self, agent: Json, ada: Api) -> None:
        approved = approve(agent, ada, "calendar:read", expiresInSeconds=3600)
        consent = Consent.objects.get(pk=approved["id"])
        assert consent.expires_at - consent.decided_at == timedelta(hours=1)

    def test_keeps_the_targets(self, agent: Json, ada: Api) -> None:
        targets = {"email:send": [{"type": "account", "field": "target", "identifiers": ["bob@example.com"]}]}
        live = Consent.objects.get(status="approved")
        Consent.objects.filter(pk=live.pk).update(terms={**live.terms, "targets": targets})
        approve(agent, ada, "calendar:read")
        assert Consent.objects.get(status="approved").terms["targets"] == targets


def test_a_connection_for_an_hour_ends_after_an_hour(agent: Json, ada: Api) -> None:
    tokens = tokens_for(agent, ada, requestedScopes=["email:read"])
    approve(agent, ada, "email:read", expiresInSeconds=3600)
    with time_machine.travel(timezone.now() + timedelta(hours=1, seconds=1)):
        body = {"refreshToken": tokens["refreshToken"], **credentials(agent)}
        problem(Api().post("/tokens/refresh", body), 400, "invalid_grant")


class TestLabelsOfOwnScopes:
    @pytest.fixture
    def server(self, developer: Api) -> Json:
        own = {**NOTES, "labels": ["outbound", "private"], "reversible": True}
        body = {"name": "Notes", "identifier": "https://notes.example/api", "scopes": [own]}
        return expect(201, developer.post("/resource-servers", body))

    def test_are_shown_and_can_be_sent_back(self, developer: Api, server: Json) -> None:
        assert server["scopes"] == [{**NOTES, "labels": ["outbound", "private"], "reversible": True}]
        path = f"/resource-servers/{server['id']}"
        assert expect(200, developer.patch(path, {"scopes": server["scopes"]}))["scopes"] == server["scopes"]
        assert expect(200, developer.patch(path, {"scopes": [NOTES]}))["scopes"] == [NOTES]

    @cases("labels", [["public"], "private", ["private"] * 4, [1], None])
    def test_must_be_known(self, developer: Api, labels: Any) -> None:
        body = {"name": "N", "identifier": "https://n.example/", "scopes": [{**NOTES, "labels": labels}]}
        answer = developer.post("/resource-servers", body)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"].startswith("scopes.0.labels")

    def test_are_part_of_what_the_user_agrees_to(self, developer: Api, ada: Any, server: Json) -> None:
        agent = new_agent(developer, allowedScopes=["notes:send"])
        shown = initiate(agent, requestedScopes=["notes:send"])
        (scope,) = expect(200, Api().get(f"/consent/{shown}"))["requestedScopes"]
        assert (scope["labels"], scope["reversible"], scope["asks"]) == (["outbound", "private"], True, False)
        expect(200, ada.post(f"/consent/{shown}/approve"))
        expect(200, developer.patch(f"/resource-servers/{server['id']}", {"scopes": [NOTES]}))
        expect(200, ada.post(f"/consent/{initiate(agent, requestedScopes=['notes:send'])}/approve"))
        entry = expect(200, ada.get("/users/me/audit-logs?event=consent.approved&limit=1"))["items"][0]
        assert entry["metadata"]["reworded"] == ["notes:send"]


def test_the_catalogue_lists_labels_reversibility_and_what_asks(anonymous: Api) -> None:
    scopes = {scope["id"]: scope for scope in expect(200, anonymous.get("/scopes"))["items"]}
    assert scopes["email:read"]["labels"] == ["private", "untrusted"]
    assert (scopes["email:send"]["reversible"], scopes["email:send"]["asks"]) == (False, False)
    assert scopes["payments:charge"]["asks"] is True
