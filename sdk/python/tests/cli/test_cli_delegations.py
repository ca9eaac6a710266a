"""Commands about work that agents hand to each other."""

from __future__ import annotations

from in_process import DELEGATION


def test_the_list_shows_who_has_what_from_whom(api, cli):
    header, first, below = cli(
        "delegations", "list", "--agent", "SmartMail", "--direction", "given", "--status", "active"
    ).splitlines()
    assert header.split() == ["id", "parent", "from", "to", "scopes", "status", "until"]
    assert first.split()[:6] == ["del_1", "-", "SmartMail", "Summarizer", "email:read", "active"]
    assert first.endswith("2099-01-01 00:00 UTC")
    assert below.split()[:2] == ["del_2", "del_1"]
    sent = dict(api.requests[-1].url.params)
    assert {name: sent[name] for name in ("agentId", "direction", "status")} == {
        "agentId": "agt_1",
        "direction": "given",
        "status": "active",
    }
    assert cli.json("delegations", "list")["items"][0] == DELEGATION


def test_the_end_is_confirmed(api, cli):
    cli("delegations", "end", "del_1", code=2)
    assert not api.requests
    assert (
        cli("delegations", "end", "del_1", "--yes") == "Ended del_1, which Summarizer had from SmartMail.\n"
    )
    assert cli.json("delegations", "end", "del_1", "--yes")["status"] == "ended"
    cli("delegations", "end", "del_9", "--yes", code=1)
