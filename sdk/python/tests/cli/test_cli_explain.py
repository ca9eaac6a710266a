"""`agentgate explain`: sentences for each reason."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from in_process import DENIAL, POLICY, page

from agentgate_oauth.cli.reasons import REASONS

ISSUED_AT = "0193600a0000"  # the first 48 bits of a UUIDv7: milliseconds
TOKEN = f"tok_{ISSUED_AT}70008000000000000000"
ISSUE_TIME = "2024-11-24T21:18:08.384000Z"


def event(name: str, id_: str, timestamp: str, **more: Any) -> dict[str, Any]:
    entry = {"id": id_, "timestamp": timestamp, "event": name, "outcome": "info", "agentId": "agt_1"}
    return {**entry, "userId": "usr_1", "consentId": "cns_1", **more}


def denial(reason: str, **more: Any) -> dict[str, Any]:
    entry = {**DENIAL, "reason": reason, "policyId": None, "metadata": {"tokenId": TOKEN}}
    return {**entry, "timestamp": "2024-11-24T23:00:00Z", **more}


class Log:
    """Answers `GET /audit` like the API: newest first, filtered by the query."""

    def __init__(self, *entries: dict[str, Any]) -> None:
        self.entries = sorted(entries, key=lambda entry: entry["timestamp"], reverse=True)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = request.url.params
        found = [entry for entry in self.entries if self._passes(entry, asked)]
        return httpx.Response(200, json=page(*found))

    def _passes(self, entry: dict[str, Any], asked: httpx.QueryParams) -> bool:
        chain = {id_ for link in entry.get("chain", ()) for id_ in (link["agentId"], link["delegationId"])}
        if "chain" in asked and asked["chain"] not in chain:
            return False
        fields = ("agentId", "userId", "event", "outcome")
        if any(name in asked and entry.get(name) != asked[name] for name in fields):
            return False
        return asked.get("from", "") <= entry["timestamp"] < asked.get("to", "9")


@pytest.fixture
def log(api, monkeypatch):
    """Return a function that sets the entries of the log."""

    def put(*entries: dict[str, Any]) -> None:
        held, answer = Log(*entries), type(api).__call__

        def respond(self: Any, request: httpx.Request) -> httpx.Response:
            return held(request) if request.url.path == "/api/v1/audit" else answer(self, request)

        monkeypatch.setattr(type(api), "__call__", respond)

    return put


def test_a_policy_denial_names_the_policy_the_rule_and_what_helps(api, cli):
    text = cli("explain")
    assert "The agent SmartMail (agt_1) asked for email:send on behalf of usr_1" in text
    assert "The policy “Office [bold]hours” (pol_1) denied it by its action_blocklist rule." in text
    assert "The rule: never email:send." in text and "Retrying does not help" in text
    document = cli.json("explain", "log_2")
    assert document["entry"]["id"] == "log_2" and document["policy"]["id"] == "pol_1"
    assert document["explanation"]["sentences"]


@pytest.mark.parametrize(
    "rule,sentence,helps",
    [
        (
            {"type": "rate_limit", "config": {"maxRequests": 3, "windowSeconds": 640, "scope": "per_user"}},
            "at most 3 calls in 640 seconds, for each user",
            "Retry when earlier calls have left the window: from 2026-11-24 16:05:00 UTC on.",
        ),
        (
            {"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 640, "scope": "global"}},
            "at most 1 call in 640 seconds, for all agents together",
            "from 2026-11-24 16:05:00 UTC on.",
        ),
        (
            {
                "type": "time_window",
                "config": {"allowedDays": [0, 1], "startTimeUtc": "09:00", "endTimeUtc": "17:00"},
            },
            "only on Sunday, Monday, from 09:00 to 17:00 (UTC)",
            "Retry within the allowed hours.",
        ),
        (
            {"type": "ip_allowlist", "config": {"cidrs": ["10.0.0.0/8"]}},
            "only from 10.0.0.0/8",
            "context.ip",
        ),
        (
            {"type": "action_allowlist", "config": {"actions": []}},
            "only nothing",
            "Retrying does not help",
        ),
        ({"type": "future", "config": {"x": 1}}, 'future {"x": 1}', "Retrying does not help"),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_every_rule_type_is_described(api, cli, rule, sentence, helps):
    metadata = {"policyName": "P", "ruleType": rule["type"], "ruleIndex": 0}
    if rule["type"] == "rate_limit":
        metadata["retryAfterSeconds"] = 300
    api.answers["GET /audit"] = page({**DENIAL, "metadata": metadata})
    api.answers["GET /policies/pol_1"] = {**POLICY, "rules": [rule]}
    text = cli("explain")
    assert sentence in text and helps in text


def test_an_id_from_a_time_that_no_calendar_has_is_not_in_the_log(api, cli):
    api.answers["GET /audit"] = page()
    cli("explain", f"log_{'f' * 32}", code=1)
    assert "has no entry" in cli.err


@pytest.mark.parametrize(
    "reason,metadata,helps",
    [
        ("approval_required", {"approvalStatus": "pending"}, "Retry the same call after the approval."),
        ("approval_required", {"approvalStatus": "denied"}, "Do not send it again"),
        ("approval_required", {"retryAfterSeconds": 60}, "again later"),
        ("policy_denied", {"ruleType": "spend_limit"}, "Retrying does not help: state an amount"),
        ("policy_denied", {"ruleType": "spend_limit", "retryAfterSeconds": 60}, "or with a smaller amount."),
        ("policy_denied", {"ruleType": "rate_limit"}, "Retrying does not help"),
        (
            "policy_denied",
            {"ruleType": "time_window", "retryAfterSeconds": 60},
            "within the allowed hours: from 2024-11-24 23:01:00 UTC on",
        ),
        (
            "policy_denied",
            {"ruleType": "rate_limit", "retryAfterSeconds": 10**400},
            "from 9999-12-31 23:59:59 UTC",
        ),
    ],
)
def test_what_helps_fits_the_state(api, cli, reason, metadata, helps):
    api.answers["GET /audit"] = page(denial(reason, metadata=metadata))
    assert helps in cli("explain")


def test_a_deleted_policy_is_named_from_the_log(api, cli):
    del api.answers["GET /policies/pol_1"]
    text = cli("explain")
    assert "The policy “Office [bold]hours” (pol_1)" in text and "changed or deleted since" in text


def test_only_the_rule_type_of_another_organization_s_policy_is_named(api, cli):
    api.answers["GET /audit"] = page({**DENIAL, "policyId": None, "metadata": {"ruleType": "rate_limit"}})
    assert "A policy of the service's organization denied it by a rule of type rate_limit." in cli("explain")


def test_the_missing_scopes_are_named(api, cli):
    metadata = {"missingScopes": ["email:send"]}
    api.answers["GET /audit"] = page(
        denial("insufficient_scope", scopes=["email:read", "email:send"], metadata=metadata)
    )
    assert "The user had not granted email:send, which the call needs." in cli("explain")


def test_an_action_that_no_scope_covers_is_not_a_missing_consent(api, cli):
    api.answers["GET /audit"] = page(
        denial("insufficient_scope", scopes=["email:read"], action="payments:refund")
    )
    text = cli("explain")
    assert "No scope covers the action." in text and "no consent of the user allows it" in text
    assert "had not granted" not in text and "Ask the user" not in text


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_says_what_happened_and_what_helps(api, cli, reason):
    what, helps = cli("explain", reason).splitlines()
    assert what.endswith(".") and helps.startswith("What to do: ")
    assert cli.json("explain", reason)["explanation"]["whatHelps"] == REASONS[reason][1]


@pytest.mark.parametrize(
    "kind,words",
    [
        ("refresh", "A refresh token was used a second time"),
        ("code", "An authorization code was used a second time"),
    ],
)
def test_the_replay_that_ended_the_family_is_the_cause(log, cli, kind, words):
    replay = {"familyId": "fam_1", "kind": kind}
    log(
        event("token.issued", "log_issue", ISSUE_TIME, metadata={"familyId": "fam_1"}),
        event("token.issued", "log_other", "2024-11-24T21:18:09.900000Z", metadata={"familyId": "fam_2"}),
        event("token.replayed", "log_replay", "2024-11-24T22:55:00Z", outcome="denied", metadata=replay),
        event("token.revoked", "log_revoke", "2024-11-24T22:58:00Z", metadata={"familyId": "fam_2"}),
        denial("token_revoked"),
    )
    text = cli("explain", "log_2")
    assert words in text and "log_replay" in text and "theft" in text and "log_revoke" not in text
    assert cli.json("explain", "log_2")["cause"]["id"] == "log_replay"


def test_another_family_s_replay_is_not_the_cause(log, cli):
    replay = {"familyId": "fam_2", "kind": "refresh"}
    log(
        event("token.issued", "log_issue", ISSUE_TIME, metadata={"familyId": "fam_1"}),
        event("token.replayed", "log_replay", "2024-11-24T22:55:00Z", metadata=replay),
        denial("token_revoked"),
    )
    assert cli.json("explain", "log_2")["cause"] is None


def test_a_replay_is_explained(log, cli):
    log(event("token.replayed", "log_2", "2024-11-24T22:55:00Z", outcome="denied", metadata={"kind": "code"}))
    assert "An authorization code was used a second time" in cli("explain")


@pytest.mark.parametrize(
    "reason,cause,words",
    [
        ("agent_suspended", "agent.stopped", "An administrator stopped the agent"),
        ("agent_suspended", "agent.suspended", "Your organization suspended the agent"),
        ("consent_revoked", "consent.revoked", "The consent was revoked"),
    ],
)
def test_the_cause_is_named_with_its_entry(log, cli, reason, cause, words):
    metadata = {"reason": "Spam."}
    log(event(cause, "log_cause", "2024-11-24T22:55:00Z", metadata=metadata), denial(reason))
    text = cli("explain")
    assert words in text and "(log_cause)" in text and "The reason given: Spam." in text


CHAIN = [
    {"agentId": "agt_0", "delegationId": None, "organizationId": "org_1"},
    {"agentId": "agt_2", "delegationId": "del_0", "organizationId": "org_1"},
    {"agentId": "agt_1", "delegationId": "del_1", "organizationId": "org_1"},
]


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ({"event": "delegation.ended", "chain": CHAIN}, "The delegation, or one above it, was ended"),
        ({"event": "delegation.ended", "chain": CHAIN[:2]}, "The delegation, or one above it, was ended"),
        ({"event": "agent.suspended", "agentId": "agt_0"}, "Your organization suspended the agent"),
    ],
)
def test_the_end_of_handed_over_work_is_named(log, cli, cause, words):
    handed_on = [*CHAIN, {**CHAIN[2], "delegationId": "del_9"}]
    below = event("delegation.ended", "log_9", "2024-11-24T22:58:00Z", chain=handed_on)
    log(
        below,
        event("agent.suspended", "log_8", "2024-11-24T22:57:00Z", agentId="agt_9"),
        {**event("", "log_cause", "2024-11-24T22:55:00Z"), **cause},
        denial("delegation_ended", chain=CHAIN),
    )
    text = cli("explain")
    assert words in text and "(log_cause)" in text
    assert "Ask the delegating agent to hand the work on again." in text


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"limitedBy": "delegation", "delegationId": "del_1"}, "A limit of the delegation del_1 denied it"),
        ({"limitedBy": "user"}, "A limit that the user set denied it"),
    ],
)
def test_a_limit_is_named_by_whose_it_is(log, cli, metadata, words):
    log(denial("policy_denied", metadata={"ruleType": "rate_limit", **metadata}))
    assert f"{words}, of type rate_limit." in cli("explain")


def test_another_user_s_revocation_is_not_the_cause(log, cli):
    other = event("consent.revoked", "log_cause", "2024-11-24T22:55:00Z", consentId="cns_2")
    log(other, denial("consent_revoked"))
    assert cli.json("explain")["cause"] is None


def test_an_agent_of_another_organization_is_named_by_id(api, cli):
    api.answers["GET /audit"] = page({**denial("token_expired"), "agentId": "agt_9"})
    assert "The agent agt_9 asked for" in cli("explain")


@pytest.mark.parametrize(
    ("would_be", "words"), [("denied", "would have denied it"), ("asked", "would have asked the user first")]
)
def test_a_shadow_policy_s_entry_says_what_it_would_have_done(api, cli, would_be, words):
    metadata = {**DENIAL["metadata"], "wouldBe": would_be}
    shadowed = {**DENIAL, "event": "policy.shadowed", "outcome": "info", "reason": None, "metadata": metadata}
    api.answers["GET /audit"] = page(shadowed)
    text = cli("explain", "log_2")
    assert f"The shadow policy “Office [bold]hours” (pol_1) {words} by its action_blocklist rule." in text
    assert "Nothing was denied." in text and "agentgate policies update pol_1 --mode enforce" in text


def test_an_allowed_entry_is_explained_as_not_denied(api, cli):
    api.answers["GET /audit"] = page({**DENIAL, "outcome": "allowed", "reason": None})
    assert "Nothing was denied." in cli("explain", "log_2")


def test_an_entry_is_searched_from_the_time_in_its_id(api, cli):
    identifier = TOKEN.replace("tok_", "log_")
    api.answers["GET /audit"] = page({**DENIAL, "id": identifier})
    cli("explain", identifier)
    assert api.requests[0].url.params["to"].startswith("2024-11-24T21:19:08")


def test_unknown_entries_and_reasons_are_errors(api, cli):
    assert "log_9" in cli.error("explain", "log_9")["detail"]
    assert "token_expired" in cli.error("explain", "tokn_expired", code=2)["hint"]
    api.answers["GET /audit"] = page()
    assert cli.error("explain")["code"] == "not_found"
