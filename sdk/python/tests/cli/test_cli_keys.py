"""The developer's API keys."""

from __future__ import annotations

from in_process import KEY, NEW_KEY, page

ROTATED = {"apiKey": "ag_next-key", "previousKeyExpiresAt": "2099-01-01T00:00:00Z", "expiresAt": None}


def test_keys_are_listed_without_their_values(api, cli):
    header, laptop, unnamed = cli("keys", "list").splitlines()
    assert header.split()[:3] == ["id", "name", "value"]
    assert laptop.split()[:5] == ["key_1", "laptop", "ag_4f...9c", "you", "developer"]
    assert "SmartMail (agt_1)" in laptop and "2026-11-24 17:10 UTC" in laptop
    assert unnamed.split()[:5] == ["key_2", "ag_4f...9c", "organization", "developer", "all"]
    assert unnamed.split()[5:] == ["2026-11-24", "16:00", "UTC", "never", "never"]
    assert cli.json("keys", "list")["items"][0] == KEY


def test_a_key_is_created_and_printed_alone(api, cli):
    assert cli("keys", "create", "laptop", "--expires-in-seconds", "3600") == "ag_new-key\n"
    assert "not shown again" in cli.err
    assert api.body() == {"name": "laptop", "expiresInSeconds": 3600}
    assert cli.json("keys", "create", "laptop") == NEW_KEY
    limits = ("--role", "auditor", "--agent", "SmartMail", "--for-organization")
    cli("keys", "create", "siem", *limits)
    limited = {"role": "auditor", "agentIds": ["agt_1"], "ownedByOrganization": True}
    assert api.body() == {"name": "siem", **limited}


def test_one_key_is_rotated_by_name_or_id_without_a_question(api, cli):
    for name in ("laptop", "key_1"):
        assert cli("keys", "rotate", name, "--overlap-seconds", "60") == "ag_new-key\n"
        assert api.requests[-1].url.path == "/api/v1/developers/api-keys/key_1/rotate"
        assert api.body() == {"overlapSeconds": 60}


def test_all_keys_are_replaced_by_one(api, cli):
    assert cli("keys", "rotate", "--yes", "--overlap-seconds", "60") == "ag_next-key\n"
    assert api.requests[-1].url.path == "/api/v1/developers/api-keys/rotate"
    assert api.body() == {"overlapSeconds": 60}
    assert cli.json("keys", "rotate", "--yes") == ROTATED


def test_an_unknown_key_is_named(api, cli):
    assert "Did you mean: laptop?" in cli.error("keys", "revoke", "labtop")["hint"]
    api.answers["GET /developers/api-keys"] = page()
    assert "agentgate keys list" in cli.error("keys", "revoke", "key_9")["hint"]
