"""Trees of delegations that hold, and every way in which one can be forged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Verify
from log_builder import CONSENT, ORGANIZATION, PERSON, Export, LogBuilder, Signer, moment

from agentgate_audit import Broken
from agentgate_audit.cli import main

Link = tuple[str, "str | None", "str | None"]
ROOT: Link = ("agt_1", None, ORGANIZATION)
# From the agent to which the user granted to the last one. Each has an organization of its own.
FIRST = (ROOT, ("agt_2", "del_1", "org_3"))
SECOND = (*FIRST, ("agt_3", "del_2", "org_4"))
OTHER = (ROOT, ("agt_4", "del_3", "org_5"))
RATE = {"type": "rate_limit", "config": {"maxRequests": 3, "windowSeconds": 3600, "scope": "per_user"}}
BUDGET = {"type": "spend_limit", "config": {"maxAmount": "10.00", "currency": "EUR", "windowSeconds": 3600}}


class Tree(LogBuilder):
    """A log with delegations. `delegate` makes one that holds, unless its options say something else."""

    def approve(self, **options: Any) -> None:
        metadata = {"expiresAt": moment(90_000), "delegation": {"before": "none", "after": "verified"}}
        connection = {"scopes": ["email:read", "email:send"], "metadata": metadata}
        self.add("consent.approved", **{"connection": connection, **options})

    def delegate(self, chain: tuple[Link, ...], *, limits: Any = None, targets: Any = None, **options: Any) -> int:
        metadata = {
            "parentId": chain[-2][1],
            "fromFamilyId": f"fam_{chain[-2][0]}",
            "expiresAt": moment(50_000),
            "maxDepth": 4,
            **(
                {"limits": {scope: [rule["type"] for rule in rules] for scope, rules in limits.items()}}
                if limits
                else {}
            ),
            **options.pop("metadata", {}),
        }
        terms = {name: part for name, part in (("limits", limits), ("targets", targets)) if part}
        call = {"call": {"terms": terms}} if terms else {}
        return self.add("delegation.created", chain=chain, metadata=metadata, **{**call, **options})

    def redeem(self, chain: tuple[Link, ...], **options: Any) -> int:
        return self.add("delegation.redeemed", chain=chain, metadata={"familyId": f"fam_{chain[-1][0]}"}, **options)

    def hand_over(self, chain: tuple[Link, ...], **options: Any) -> None:
        self.delegate(chain, **options)
        self.redeem(chain)

    def pay(self, value: str, chain: tuple[Link, ...] = SECOND, **options: Any) -> int:
        return self.allow(chain=chain, amount={"currency": "EUR", "value": value}, **options)

    def reserve(self, value: str, reservation: str, until: float, **options: Any) -> int:
        amount = {"currency": "EUR", "value": value, "reserved": True}
        metadata = {"reservationId": reservation, "heldUntil": moment(until)}
        return self.allow(chain=SECOND, amount=amount, metadata=metadata, **options)

    def commit(self, value: str, reservation: str, **options: Any) -> int:
        amount = {"currency": "EUR", "value": value}
        return self.add("reservation.committed", amount=amount, metadata={"reservationId": reservation}, **options)


@pytest.fixture
def tree() -> Tree:
    tree = Tree()
    tree.approve()
    return tree


@pytest.fixture
def grown(tree: Tree) -> Tree:
    """A tree with a delegation of a delegation."""
    tree.hand_over(FIRST)
    tree.hand_over(SECOND)
    return tree


def narrow(tree: Tree, after: dict[str, Any]) -> None:
    tree.add("consent.narrowed", connection={"scopes": [], "metadata": {"removed": [], "after": after}})


def broken(verify: Verify, export: Export) -> str:
    with pytest.raises(Broken) as error:
        verify(export)
    return str(error.value)


@pytest.mark.parametrize(
    ("kind", "id_", "outside"),
    [
        ("person", PERSON, 0),
        ("connection", CONSENT, 0),
        ("organization", ORGANIZATION, 0),
        ("organization", "org_3", 0),
        ("organization", "org_4", 1),
    ],
)
def test_a_tree_holds_for_each_of_its_readers(kind: str, id_: str, outside: int, grown: Tree, verify: Verify):
    grown.allow(chain=SECOND)
    grown.allow(chain=SECOND, services=["org_7", "org_8"])
    grown.add("delegation.ended", chain=SECOND)
    grown.deny(chain=SECOND)
    own = {"organizationId": id_} if kind == "organization" else {}
    found = verify(grown.export(kind, id_, **own)).delegations

    assert (len(found.known), found.calls, found.outside) == (2 - outside, 2, 2 * outside)


# What the log says after a tree of two delegations, `FIRST` and `SECOND`, and why it does not hold.
FORGERIES: dict[str, tuple[Callable[[Tree], object], str]] = {
    "a moved child": (
        lambda t: (t.hand_over(OTHER), t.allow(chain=(*OTHER, SECOND[-1]))),
        "has another chain to the delegation del_2 than its creation at index 3",
    ),
    "a forged parent": (
        lambda t: (
            t.hand_over(OTHER),
            t.delegate((*OTHER, ("agt_5", "del_4", None)), metadata={"fromFamilyId": "fam_agt_3"}),
        ),
        "the delegation del_4 was made with other tokens than those of del_3",
    ),
    "a parent that is not that of the chain": (
        lambda t: t.delegate((*SECOND, ("agt_5", "del_4", None)), metadata={"parentId": "del_1"}),
        "names the parent 'del_1', and its chain 'del_2'",
    ),
    "a parent that was never redeemed": (
        lambda t: (t.delegate(OTHER), t.delegate((*OTHER, ("agt_5", "del_4", None)))),
        "the delegation del_4 was made with other tokens than those of del_3",
    ),
    "a wider scope": (
        lambda t: t.delegate((*FIRST, ("agt_5", "del_4", None)), scopes=["email:read", "email:send"]),
        "the scope 'email:send' is beyond the delegation del_1 above it",
    ),
    "a scope that the user did not grant": (
        lambda t: t.delegate(OTHER, scopes=["files:read"]),
        "the scope 'files:read' is beyond the consent con_1",
    ),
    "a call when work may no longer be handed to another developer": (
        lambda t: (narrow(t, {"delegation": "developer"}), t.allow(chain=SECOND)),
        "the user does not let work be handed on like this, but says 'developer'",
    ),
    "a call when no work may be handed on": (
        lambda t: (narrow(t, {}), t.allow(chain=SECOND)),
        "the user does not let work be handed on like this, but says 'none'",
    ),
    "a scope that the user took back": (
        lambda t: (
            t.add("consent.narrowed", connection={"scopes": ["email:read"], "metadata": {"removed": ["email:send"]}}),
            t.delegate(OTHER, scopes=["email:send"]),
        ),
        "the scope 'email:send' is beyond the consent con_1",
    ),
    "a longer life": (
        lambda t: t.delegate((*FIRST, ("agt_5", "del_4", None)), metadata={"expiresAt": moment(50_001)}),
        "the delegation del_4 ends after del_1 above it",
    ),
    "a longer life than the connection's": (
        lambda t: t.delegate(OTHER, metadata={"expiresAt": moment(90_001)}),
        "the delegation del_3 ends after the consent con_1",
    ),
    "a deeper path": (
        lambda t: (
            t.hand_over(OTHER, metadata={"maxDepth": 1}),
            t.delegate((*OTHER, ("agt_5", "del_4", None)), metadata={"maxDepth": 1}),
        ),
        "the delegation del_4 is at depth 2, and at most 1 deep",
    ),
    "a path that may become deeper": (
        lambda t: (
            t.hand_over(OTHER, metadata={"maxDepth": 2}),
            t.delegate((*OTHER, ("agt_5", "del_4", None)), metadata={"maxDepth": 3}),
        ),
        "the delegation del_4 may be handed on further than del_3 above it",
    ),
    "a path beyond every limit": (
        lambda t: t.delegate(OTHER, metadata={"maxDepth": 5}),
        "the delegation del_3 is at depth 1, and at most 5 deep",
    ),
    "an agent that stands twice": (
        lambda t: t.delegate((*SECOND, ("agt_1", "del_4", ORGANIZATION))),
        "an agent stands twice in the chain of the delegation del_4",
    ),
    "a second creation": (lambda t: t.delegate(FIRST), "creates the delegation del_1, which index 1 created"),
    "a second redemption": (lambda t: t.redeem(FIRST), "the delegation del_1 is redeemed a second time"),
    "a call by no delegation": (
        lambda t: t.allow(chain=OTHER),
        "names the delegation del_3, which was not created",
    ),
    "a call whose chain was removed": (
        lambda t: t.allow(agentId="agt_3"),
        "the agent agt_3 acts under the consent of agt_1 without a delegation",
    ),
    "a call of another connection": (
        lambda t: t.allow(chain=SECOND, consentId="con_2"),
        "is of another connection than the delegation del_1",
    ),
    "a call with another organization": (
        lambda t: t.allow(chain=(*FIRST, ("agt_3", "del_2", "org_9"))),
        "has another chain to the delegation del_2 than its creation at index 3",
    ),
    "a call beyond the scopes": (
        lambda t: t.allow(chain=SECOND, scopes=["email:send"]),
        "the scope 'email:send' is beyond the delegation del_1",
    ),
    "a call after the end": (
        lambda t: (t.add("delegation.ended", chain=SECOND), t.allow(chain=SECOND)),
        "comes after the end of the delegation del_2 at index 5",
    ),
    "a call after an end above": (
        lambda t: (t.add("delegation.ended", chain=FIRST), t.allow(chain=SECOND)),
        "comes after the end of the delegation del_1 at index 5",
    ),
    "an introspection after an end above": (
        lambda t: (t.add("delegation.ended", chain=FIRST), t.add("token.introspected", "allowed", chain=SECOND)),
        "comes after the end of the delegation del_1 at index 5",
    ),
    "a call when the time is over": (
        lambda t: t.allow(chain=SECOND, at=50_000),
        "the delegation del_1 ended at 2026-01-01 13:53:20 UTC",
    ),
    "a call after the first agent's tokens were revoked": (
        lambda t: (t.add("token.revoked", metadata={"familyId": "fam_agt_1"}), t.allow(chain=SECOND)),
        "comes after token.revoked at index 5, which ended what del_1 needs",
    ),
    "a call after the middle agent's tokens were used twice": (
        lambda t: (t.add("token.replayed", "denied", metadata={"familyId": "fam_agt_2"}), t.allow(chain=SECOND)),
        "comes after token.replayed at index 5, which ended what del_1 needs",
    ),
    "a call after its own tokens were revoked": (
        lambda t: (t.add("token.revoked", metadata={"familyId": "fam_agt_3"}), t.allow(chain=SECOND)),
        "comes after token.revoked at index 5, which ended what del_2 needs",
    ),
    "a call after the connection was revoked": (
        lambda t: (t.add("consent.revoked"), t.allow(chain=SECOND)),
        "allowed after consent.revoked at index 5",
    ),
    "a call while the connection is paused": (
        lambda t: (t.add("agent.paused"), t.allow(chain=SECOND)),
        "allowed after agent.paused at index 5",
    ),
    **{
        f"a call while an agent above has {event}": (
            lambda t, event=event, member=member: (t.add(event, **member), t.allow(chain=SECOND)),
            f"allowed after {event} at index 5",
        )
        for event, member in {
            "agent.suspended": {"agentId": "agt_2"},
            "agent.stopped": {"agentId": "agt_1"},
            "organization.suspended": {"organizationId": "org_3"},
            "organization.stopped": {"organizationId": ORGANIZATION, "agentId": None},
        }.items()
    },
    "a chain that does not lead to the agent": (
        lambda t: t.allow(chain=SECOND, agentId="agt_9"),
        "the chain does not lead to the agent of the entry",
    ),
    "a chain of one agent": (lambda t: t.allow(chain=(ROOT,)), "chain is not a list of several agents"),
    "a chain without its delegation": (
        lambda t: t.allow(chain=(ROOT, ("agt_2", None, None))),
        "the chain has a delegation for its first agent, or none for another one",
    ),
    "a chain in a record of version 1": (lambda t: t.allow(chain=SECOND, v=1), "does not know the record: v 1"),
    "no chain in a record of version 2": (lambda t: t.allow(v=2), "does not know the record: v 2"),
    "a record of a later version": (lambda t: t.allow(chain=SECOND, v=3), "does not know the record: v 3"),
    "metadata that is not an object": (lambda t: t.allow(chain=SECOND, metadata=[]), "metadata is not an object"),
    "a creation without a chain": (
        lambda t: t.add("delegation.created"),
        "a delegation was created without a chain",
    ),
    "targets that cannot be read": (
        lambda t: t.delegate(OTHER, targets={"email:read": ["work"]}),
        "the targets of the delegation are malformed",
    ),
    "limits of other types than the record states": (
        lambda t: t.delegate(OTHER, limits={"": [RATE]}, metadata={"limits": {"": ["spend_limit"]}}),
        "the limits of the delegation are not of the types that its entry states",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_tree_does_not_hold(name: str, grown: Tree, verify: Verify):
    forge, message = FORGERIES[name]
    forge(grown)

    found = broken(verify, grown.export())
    assert found.startswith(f"index {len(grown.leaves) - 2}: "), found
    assert message in found


def test_calls_that_are_left_out_are_missing(grown: Tree, verify: Verify):
    grown.allow(chain=SECOND)
    export = grown.export()
    del export.entries[5]

    assert broken(verify, export) == "index 6: number 6 of stream person is missing"


def test_a_creation_that_is_left_out_is_missing(grown: Tree, verify: Verify):
    grown.allow(chain=SECOND)
    export = grown.export()
    del export.entries[3]

    assert broken(verify, export) == "index 4: number 4 of stream person is missing"


def test_an_organization_cannot_be_shown_a_call_without_its_creation(tree: Tree, verify: Verify):
    """An organization below need not have it, but that of the delegation itself must."""
    tree.allow(chain=SECOND)

    assert "del_1, which was not created" in broken(
        verify, tree.export("organization", "org_3", organizationId="org_3")
    )
    assert "del_2, which was not created" in broken(
        verify, tree.export("organization", "org_4", organizationId="org_4")
    )


def test_what_ends_one_branch_leaves_the_others(grown: Tree, verify: Verify):
    grown.hand_over(OTHER)
    grown.add("delegation.ended", chain=SECOND)
    grown.add("agent.suspended", agentId="agt_3")
    for chain in (FIRST, OTHER):
        grown.allow(chain=chain)
    grown.allow()

    assert verify(grown.export()).delegations.calls == 2


def test_what_is_made_at_the_time_of_an_end_allows_nothing(grown: Tree, verify: Verify):
    """The server does not let one wait for the other, so the entries can be in this order."""
    below = (*SECOND, ("agt_5", "del_4", None))
    grown.add("delegation.ended", chain=SECOND)
    grown.add("token.revoked", metadata={"familyId": "fam_agt_3"})
    grown.hand_over(below)
    verify(grown.export())

    grown.allow(chain=below)
    assert "comes after the end of the delegation del_2" in broken(verify, grown.export())


def test_consents_that_replace_each_other_end_the_search(grown: Tree, verify: Verify):
    for consent, successor in (("con_1", "con_2"), ("con_2", "con_1")):
        grown.add("consent.replaced", consentId=consent, metadata={"replacedBy": successor})
    grown.allow(chain=SECOND, consentId="con_3")

    assert "is of another connection than the delegation del_1" in broken(verify, grown.export())


def test_a_stop_that_is_lifted_leaves_the_tree(grown: Tree, verify: Verify):
    grown.add("agent.suspended", agentId="agt_2")
    grown.add("agent.reactivated", agentId="agt_2")
    # That the user pauses an agent concerns its own connection, and not what another one handed to it.
    grown.add("agent.paused", agentId="agt_3", consentId="con_3")
    grown.allow(chain=SECOND)

    assert verify(grown.export()).delegations.calls == 1


def test_delegations_go_on_under_the_consent_that_replaces_theirs(grown: Tree, verify: Verify):
    grown.add("consent.replaced", metadata={"replacedBy": "con_2"})
    metadata = {"replacedConsentId": CONSENT, "delegation": {"before": "verified", "after": "verified"}}
    grown.approve(consentId="con_2", connection={"scopes": ["email:read"], "metadata": metadata})
    grown.allow(chain=SECOND, consentId="con_2")

    assert verify(grown.export()).delegations.outside == 0
    # The stream of the new consent does not have what was made under the former one.
    assert verify(grown.export("connection", "con_2", consentId="con_2")).delegations.outside == 1


def test_a_part_of_a_stream_can_begin_below_a_delegation(grown: Tree, verify: Verify):
    grown.allow(chain=SECOND, at=100)

    assert verify(grown.export(start=90)).delegations.outside == 1


def test_a_damaged_entry_may_have_created_a_delegation(grown: Tree, verify: Verify):
    grown.add("entry.damaged", metadata={"entryId": None, "sha256": "00"})
    grown.allow(chain=OTHER)

    assert verify(grown.export()).delegations.outside == 1


class TestSums:
    """The limits of `FIRST`, with the calls of `SECOND` below it and its own."""

    def test_calls_below_count_in_the_limit_above(self, tree: Tree, verify: Verify):
        tree.hand_over(FIRST, limits={"email:read": [RATE]})
        tree.hand_over(SECOND)
        tree.allow(chain=FIRST)
        tree.allow(chain=SECOND)
        tree.allow(chain=SECOND, scopes=["email:read"], at=5000)
        tree.allow(chain=SECOND, at=5001)
        tree.allow(chain=FIRST, at=5002)
        assert verify(tree.export()).delegations.sums == 1

        tree.allow(chain=SECOND, at=5003)
        found = broken(verify, tree.export())
        assert "4 by 2026-01-01 01:23:23 UTC, with all that was handed on below the delegation del_1" in found
        assert "whose limit is 3 calls per 3600 seconds, email:read" in found

    @pytest.mark.parametrize("actions", [["email:send"], ["email:send", "files:*"]])
    def test_calls_that_the_limit_does_not_concern_do_not_count(self, actions: Any, tree: Tree, verify: Verify):
        config = {**RATE["config"], "actions": actions}  # type: ignore[dict-item]
        tree.hand_over(FIRST, limits={"": [{**RATE, "config": config}], "email:send": [RATE]}, scopes=["email:read"])
        for _ in range(9):
            tree.allow(chain=FIRST)
        verify(tree.export())

        for _ in range(4):
            tree.allow(chain=FIRST, action="email:send")
        assert "whose limit is 3 calls per 3600 seconds" in broken(verify, tree.export())

    def test_of_two_limits_of_a_kind_the_lower_holds(self, tree: Tree, verify: Verify):
        higher = {**RATE, "config": {**RATE["config"], "maxRequests": 9}}  # type: ignore[dict-item]
        tree.hand_over(FIRST, limits={"": [RATE, higher]})
        for _ in range(4):
            tree.allow(chain=FIRST)

        assert "whose limit is 3 calls" in broken(verify, tree.export())

    def test_money_below_counts_in_the_limit_above(self, tree: Tree, verify: Verify):
        tree.hand_over(FIRST, limits={"": [BUDGET]})
        tree.hand_over(SECOND)
        tree.pay("4.00", FIRST)
        tree.pay("6.00")
        verify(tree.export())

        tree.pay("0.01", at=3000)
        assert "10.01 by" in broken(verify, tree.export())

    def test_what_is_reserved_counts_until_it_is_resolved(self, tree: Tree, verify: Verify):
        tree.hand_over(FIRST, limits={"": [BUDGET]})
        tree.hand_over(SECOND)
        tree.reserve("8.00", "rsv_1", until=600)
        tree.reserve("2.00", "rsv_2", until=600)
        tree.add("reservation.voided", metadata={"reservationId": "rsv_2"})
        tree.commit("5.00", "rsv_1")
        tree.pay("5.00")
        verify(tree.export())

        tree.reserve("0.01", "rsv_3", until=600, at=100)
        assert "10.01 by" in broken(verify, tree.export())

    def test_what_lapsed_counts_no_longer_though_the_log_says_so_later(self, tree: Tree, verify: Verify):
        tree.hand_over(FIRST, limits={"": [BUDGET]})
        tree.hand_over(SECOND)
        tree.reserve("8.00", "rsv_1", until=590)
        tree.pay("8.00", at=600)
        tree.add("reservation.lapsed", metadata={"reservationId": "rsv_1"}, at=700)
        verify(tree.export())

        tree.reserve("2.00", "rsv_2", until=1190, at=710)
        tree.pay("1.00", at=1190)
        assert "11.00 by" in broken(verify, tree.export())

    def test_more_than_was_reserved_cannot_be_committed(self, tree: Tree, verify: Verify):
        tree.hand_over(FIRST, limits={"": [BUDGET]})
        tree.hand_over(SECOND)
        tree.reserve("2.00", "rsv_1", until=600)
        tree.commit("2.01", "rsv_1")

        assert "commits 2.01, but 2.00 was reserved" in broken(verify, tree.export())

    @pytest.mark.parametrize(
        "options", [{}, {"amount": {"currency": "USD", "value": "1"}}, {"amount": {"unreadable": True}}]
    )
    def test_a_call_without_an_amount_of_the_limit_is_not_allowed(self, options: Any, tree: Tree, verify: Verify):
        tree.hand_over(FIRST, limits={"": [BUDGET]})
        tree.allow(chain=FIRST, **options)

        assert "without an amount in EUR, which the delegation del_1 requires" in broken(verify, tree.export())

    def test_amounts_that_were_erased_follow_from_the_totals(self, tree: Tree, verify: Verify):
        tree.hand_over(FIRST, limits={"": [BUDGET]})
        for value in ("6.00", "5.00"):
            tree.pay(value, FIRST)
        export = tree.export()
        for line in export.entries[3:]:
            line["disclosures"].pop("personal", None)

        assert "11.00 by" in broken(verify, export)

    def test_what_is_not_disclosed_is_said_plainly(
        self, tree: Tree, verify: Verify, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ):
        tree.hand_over(FIRST, limits={"": [BUDGET]})
        tree.hand_over(SECOND)
        tree.pay("99.00")
        export = tree.export()
        for line in export.entries:
            line["disclosures"].pop("personal", None)
        found = verify(export).delegations
        assert (found.sums, found.hidden_limits) == (0, 1)

        assert main(["verify", str(export.write(tmp_path / "e")), "--key", Signer().vkey]) == 0
        assert "1 delegations have limits that this export does not disclose" in capsys.readouterr().out

    def test_a_hidden_amount_is_said_plainly(self, tree: Tree, verify: Verify):
        tree.hand_over(FIRST, limits={"": [BUDGET]})
        tree.hand_over(SECOND)
        tree.reserve("2.00", "rsv_1", until=600)
        export = tree.export()
        export.entries[5]["disclosures"].pop("personal")

        assert verify(export).delegations.hidden_amounts == 1

    @pytest.mark.parametrize(
        "rule",
        [
            {"type": "rate_limit"},
            {"type": "rate_limit", "config": {"maxRequests": "many", "windowSeconds": 60}},
            {"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 0}},
            {"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 60, "actions": "all"}},
            {"type": "spend_limit", "config": {"maxAmount": "1.00", "windowSeconds": 60}},
        ],
    )
    def test_a_limit_that_cannot_be_read_does_not_hold(self, rule: Any, tree: Tree, verify: Verify):
        tree.delegate(FIRST, limits={"": [rule]})

        assert broken(verify, tree.export()).startswith("index 1: ")

    def test_a_clock_that_is_set_back_does_not_keep_what_it_counted_for_long(self, tree: Tree, verify: Verify):
        tree.hand_over(FIRST, limits={"": [RATE]})
        for at in (9000, 9000, 4000, 7800, 7800, 7800):
            tree.allow(chain=FIRST, at=at)
        verify(tree.export())

        tree.allow(chain=FIRST, at=9001)
        assert "4 by" in broken(verify, tree.export())


class TestLineage:
    def run(self, tree: Tree, tmp_path: Path, entry: str, *options: str) -> int:
        path = tree.export().write(tmp_path / "export.jsonl")
        return main(["lineage", str(path), "--key", Signer().vkey, "--entry", entry, *options])

    def test_it_tells_on_whose_hand_over_an_agent_acted(
        self, tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ):
        tree.hand_over(FIRST, limits={"": [RATE], "email:read": [{"type": "time_window", "config": {}}]})
        tree.hand_over(SECOND, targets={"email:read": [{"type": "account", "identifiers": ["work", "home"]}]})
        call = tree.allow(chain=SECOND)

        assert self.run(tree, tmp_path, f"log_{call}") == 0
        assert capsys.readouterr().out == (
            "log_5, index 5, 2026-01-01 00:00:05 UTC: the agent agt_3 was allowed: token.verify, email:read for"
            " the user usr_1. agt_3 acted on the delegation del_2 by agt_2, made at 2026-01-01 00:00:03 UTC"
            " (log_3), for email:read, until 2026-01-01 13:53:20 UTC, at most 4 deep, only email:read of work,"
            " home, without limits. agt_2 acted on the delegation del_1 by agt_1, made at 2026-01-01 00:00:01"
            " UTC (log_1), for email:read, until 2026-01-01 13:53:20 UTC, at most 4 deep, with the limits: at"
            " most 3 calls per 3600 seconds; time_window. agt_1 acted under the consent con_1, given at"
            " 2026-01-01 00:00:00 UTC (log_0), for email:read, email:send, until 2026-01-02 01:00:00 UTC.\n"
        )

    def test_it_is_json_on_request(self, tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
        tree.hand_over(FIRST, limits={"": [RATE]})
        call = tree.allow(chain=FIRST)

        assert self.run(tree, tmp_path, f"log_{call}", "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert found["consent"] == {
            "entry": "log_0",
            "scopes": ["email:read", "email:send"],
            "expiresAt": "2026-01-02T01:00:00Z",
        }
        assert found["chain"] == [
            {"agentId": "agt_1", "delegationId": None},
            {
                "agentId": "agt_2",
                "delegationId": "del_1",
                "delegation": {
                    "entry": "log_1",
                    "createdAt": "2026-01-01T00:00:01Z",
                    "scopes": ["email:read"],
                    "expiresAt": "2026-01-01T13:53:20Z",
                    "maxDepth": 4,
                    "targets": {},
                    "limits": {"": [RATE]},
                },
            },
        ]

    @pytest.mark.parametrize(
        ("metadata", "told"),
        [
            ({"limitedBy": "delegation", "delegationId": "del_1"}, "(policy_denied, by the limit rate_limit of del_1)"),
            ({"limitedBy": "user"}, "(policy_denied, by the user's limit rate_limit)"),
        ],
    )
    def test_a_denial_names_whose_limit_it_was(
        self, metadata: Any, told: str, grown: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ):
        call = grown.deny(chain=SECOND, metadata={**metadata, "ruleType": "rate_limit"})

        assert self.run(grown, tmp_path, f"log_{call}") == 0
        assert f"the agent agt_3 was denied {told}: token.verify" in capsys.readouterr().out

    def test_an_agent_can_have_acted_itself(self, tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
        call = tree.deny(consentId=None, userId=PERSON)

        assert self.run(tree, tmp_path, f"log_{call}") == 0
        assert "agt_1 was denied (policy_denied): token.verify" in (out := capsys.readouterr().out)
        assert out.endswith("It acted for itself, under no user's consent.\n")

    @pytest.mark.parametrize(("entry", "message"), [("log_9", "has no entry 'log_9'"), ("log_1", "names no agent")])
    def test_an_entry_without_an_agent_has_none(
        self, entry: str, message: str, tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ):
        tree.add("user.signed_in", agentId=None, consentId=None)

        assert self.run(tree, tmp_path, entry) == 1
        assert message in capsys.readouterr().out
