"""Deletions ask on the terminal, take `--yes` in scripts, and are refused otherwise."""

from __future__ import annotations

import pytest
from in_process import AGENT, KEY, page

DELETIONS = {
    "policy": (("policies", "delete", "Office [bold]hours"), "Office [bold]hours (pol_1)", "DELETE"),
    "resource server": (("resource-servers", "delete", "Mail"), "Mail (res_1)", "DELETE"),
    "API key": (("keys", "revoke", "laptop"), "laptop (key_1)", "DELETE"),
    "member": (("members", "remove", "grace@example.com"), "grace@example.com (dev_2)", "DELETE"),
    "own membership": (("members", "leave"), "Acme (org_1)", "DELETE"),
    "invitation": (("invitations", "revoke", "inv_1"), "grace@example.com (inv_1)", "DELETE"),
    "stop": (("organizations", "stop", "--reason", "x"), "Acme (org_1)? It affects: 2 agents", "POST"),
    "all API keys": (("keys", "rotate"), "all your API keys", "POST"),
}
each_deletion = pytest.mark.parametrize(("words", "named", "method"), DELETIONS.values(), ids=DELETIONS)


@each_deletion
def test_a_yes_on_the_terminal_deletes(api, cli, words, named, method):
    cli(*words, typed="y\n")
    assert named in cli.err and "[y/N]" in cli.err
    assert api.requests[-1].method == method


@each_deletion
@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_any_other_answer_deletes_nothing(api, cli, words, named, method, answer):
    cli(*words, typed=answer, code=1)
    assert named in cli.err and "Aborted." in cli.err
    assert all(request.method == "GET" for request in api.requests)


@each_deletion
def test_without_a_terminal_it_is_refused_with_the_remedy(api, cli, words, named, method):
    error = cli.error(*words, given="y\n", code=2)
    assert error["code"] == "confirmation_required" and named in error["detail"]
    assert "--yes" in error["hint"]
    assert all(request.method == "GET" for request in api.requests)


@each_deletion
def test_yes_is_for_scripts(api, cli, words, named, method):
    document = cli.json(*words, "--yes") if method == "DELETE" else {"deleted": True}
    assert document["deleted"] is True
    cli(*words, "-y")
    assert api.requests[-1].method == method


def test_a_name_cannot_control_the_terminal_in_the_question(api, cli):
    api.answers["GET /developers/api-keys"] = page({**KEY, "name": "evil\x1b[2K\rkey"})
    cli("keys", "revoke", "key_1", typed="n\n", code=1)
    assert "evil?[2K?key (key_1)" in cli.err and "\x1b" not in cli.err


def test_a_suspension_can_be_undone_and_asks_nothing(api, cli):
    assert cli.json("agents", "suspend", "agt_1") == {**AGENT, "status": "suspended"}
