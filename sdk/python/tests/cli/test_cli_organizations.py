"""Organizations, members and invitations, and the choice of the organization."""

from __future__ import annotations

import pytest
from fake_gate import problem
from in_process import INVITATION, MEMBER, MEMBERSHIP, NAMED, ORGANIZATION, STOPPED, page

SECOND = {"organization": {**NAMED, "id": "org_2", "name": "Beta"}, "role": "auditor", "memberId": "dev_9"}
CALLS = {
    ("organizations", "show"): ("GET /organization", None, "acme.example"),
    ("organizations", "rename", "Acme"): ("PATCH /organization", {"name": "Acme"}, "owner"),
    ("organizations", "stop", "--reason", "A leak", "--yes"): (
        "POST /organization/stop",
        {"reason": "A leak"},
        "A secret leaked",
    ),
    ("organizations", "resume", "--reason", "Replaced"): (
        "POST /organization/resume",
        {"reason": "Replaced"},
        "stopped    no",
    ),
    ("organizations", "restore"): ("POST /organization/restore", {}, "Acme"),
    ("members", "list"): ("GET /organization/members", None, "grace@example.com"),
    ("members", "invite", "grace@example.com", "--role", "admin"): (
        "POST /organization/invitations",
        {"email": "grace@example.com", "role": "admin"},
        "inv_1",
    ),
    ("members", "role", "GRACE@example.com", "admin"): (
        "PATCH /organization/members/dev_2",
        {"role": "admin"},
        "grace@example.com (dev_2) is admin.",
    ),
    ("members", "leave", "--yes"): ("DELETE /organization/members/dev_1", None, "You left Acme (org_1)."),
    ("invitations", "list"): ("GET /organization/invitations", None, "2099-01-01 00:00 UTC"),
}
OWN_CALLS = {
    ("organizations", "list"): ("GET /users/me/organizations", None, "yes"),
    ("organizations", "create", "Acme"): ("POST /organizations", {"name": "Acme"}, "organizations use org_1"),
    ("organizations", "use", "acme"): ("GET /users/me/organizations", None, "Acme (org_1)"),
    ("invitations", "mine"): ("GET /users/me/invitations", None, "Acme (org_1)"),
    ("invitations", "accept", "inv_1"): (
        "POST /invitations/inv_1/accept",
        {},
        "You joined as developer (dev_2).",
    ),
    ("invitations", "decline", "inv_1"): (
        "POST /invitations/inv_1/decline",
        {},
        "Declined the invitation of Acme (org_1).",
    ),
}


def check(api, cli, words, request, body, printed):
    assert printed in cli(*words)
    made = api.requests[-1]
    assert f"{made.method} {made.url.path.removeprefix('/api/v1')}" == request
    assert body is None or api.body() == body


@pytest.mark.parametrize(("words", "expected"), CALLS.items(), ids=map(" ".join, CALLS))
def test_each_command_makes_its_call(api, cli, words, expected):
    check(api, cli, words, *expected)


@pytest.mark.parametrize(("words", "expected"), OWN_CALLS.items(), ids=map(" ".join, OWN_CALLS))
def test_what_no_key_may_do_uses_the_sign_in(signed_in, cli, monkeypatch, words, expected):
    monkeypatch.setenv("AGENTGATE_API_KEY", "ag_key")
    check(signed_in, cli, words, *expected)
    assert signed_in.requests[-1].headers["Authorization"].startswith("Bearer st_")


def test_the_documents_are_those_of_the_api(api, cli):
    assert cli.json("organizations", "show") == ORGANIZATION
    assert cli.json("organizations", "stop", "--reason", "x", "--yes") == STOPPED
    assert cli.json("members", "list")["items"] == [MEMBER]
    assert cli.json("invitations", "list")["items"] == [INVITATION]
    api.answers["GET /organization/invitations"] = page({**INVITATION, "status": "replaced"})
    assert cli.error("invitations", "revoke", "grace@example.com", "--yes")["code"] == "not_found"


def test_a_chosen_organization_is_sent_with_each_call_and_survives_a_sign_in(signed_in, cli, monkeypatch):
    signed_in.answers["GET /users/me/organizations"] = page(MEMBERSHIP, SECOND)
    assert cli.json("whoami")["organization"] is None
    cli("organizations", "use", "Beta")
    cli("login", "--email", "ada@example.com", given="hunter22\n")
    cli("agents", "list")
    assert signed_in.requests[-1].headers["X-Organization"] == "org_2"
    assert cli.json("whoami")["role"] == "auditor"
    monkeypatch.setenv("AGENTGATE_ORGANIZATION", "org_1")
    cli("agents", "list")
    assert signed_in.requests[-1].headers["X-Organization"] == "org_1"
    cli("agents", "list", "--organization", "org_3")
    assert signed_in.requests[-1].headers["X-Organization"] == "org_3"


def test_a_call_for_no_chosen_organization_says_how_to_choose(signed_in, cli):
    cli("agents", "list")
    assert "X-Organization" not in signed_in.requests[-1].headers
    signed_in.answers["GET /agents"] = problem(400, "organization_required", detail="Name one.")
    assert "agentgate organizations use" in cli.error("agents", "list")["hint"]


def test_a_key_for_another_organization_says_what_to_leave_out(api, cli):
    api.answers["GET /agents"] = problem(403, "not_member", detail="X-Organization names another.")
    assert "Leave out --organization" in cli.error("agents", "list", "--organization", "org_2")["hint"]


def test_a_deletion_shows_when_it_ends(api, cli):
    api.answers["GET /organization"] = {**ORGANIZATION, "deletesAt": "2099-01-01T00:00:00Z"}
    assert "2099-01-01 00:00 UTC" in cli("organizations", "delete", "Acme", "--yes")
    assert [request.method for request in api.requests] == ["GET", "GET", "DELETE", "GET"]


def test_another_name_deletes_nothing(api, cli):
    assert cli.error("organizations", "delete", "Beta", "--yes", code=2)["code"] == "name_mismatch"
    assert [request.method for request in api.requests] == ["GET"]


def test_a_key_of_the_organization_cannot_leave(api, cli):
    api.answers["GET /organization"] = {**ORGANIZATION, "memberId": None}
    assert cli.error("members", "leave", "--yes")["code"] == "no_membership"


def test_an_unknown_member_is_named(api, cli):
    hint = cli.error("members", "role", "grace@exmaple.com", "admin")["hint"]
    assert "Did you mean: grace@example.com?" in hint
