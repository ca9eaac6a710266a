"""What a dishonest log can sign, and the verifier still finds: totals, ends, stops, limits."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from conftest import Verify
from log_builder import CONSENT, ORGANIZATION, PERSON, SERVICE, LogBuilder, canonical

from agentgate_audit import Broken, Limit, Spending, Unusable
from agentgate_audit.entries import read_entry
from agentgate_audit.limits import parse_limit, parse_spending

EUR_10 = {"currency": "EUR", "value": "10"}


@pytest.mark.parametrize(
    ("total", "by", "message"),
    [
        ("allowed", 1, "total allowed is 3 and must be 2"),
        ("allowed", -1, "total allowed is 1 and must be 2"),
        ("denied", 1, "total denied is 1 and must be 0"),
        ("EUR", "0.01", "total spent is 20.01 EUR and must be 20 EUR"),
        ("EUR", "-5", "total spent is 15 EUR and must be 20 EUR"),
        ("USD", "1", "total spent is 20 EUR, 1 USD and must be 20 EUR"),
    ],
)
@pytest.mark.parametrize("kind", ["person", "connection"])
def test_a_changed_total_is_named(kind: str, total: str, by: Any, message: str, log: LogBuilder, verify: Verify):
    log.allow(amount=EUR_10)
    log.lie_about(total, by)
    log.allow(amount=EUR_10)

    with pytest.raises(Broken, match=f"^index 1: {message}$"):
        verify(log.export(kind, PERSON if kind == "person" else CONSENT))


def test_totals_begin_with_nothing(log: LogBuilder, verify: Verify):
    log.lie_about("allowed", 5)
    log.allow()

    with pytest.raises(Broken, match="^index 0: total allowed is 6 and must be 1$"):
        verify(log.export())


def test_the_totals_of_connections_are_separate(log: LogBuilder, verify: Verify):
    for consent in ("con_1", "con_2", "con_1"):
        log.allow(consentId=consent, amount=EUR_10)

    assert verify(log.export(), spendings=[parse_spending("30/EUR/9")]).entries == 4


def test_the_entries_of_a_connection_before_it_had_a_person_may_be_missing(log: LogBuilder, verify: Verify):
    log.add("consent.requested", userId=None)
    log.add("consent.approved")
    log.add("consent.viewed", userId=None)
    log.allow()

    assert verify(log.export()).entries == 3
    assert verify(log.export("connection", CONSENT)).entries == 5


def test_a_connection_s_numbers_do_not_go_back(log: LogBuilder, verify: Verify):
    log.deny()
    log.deny()
    log.numbers[f"connection {CONSENT}"] = 1
    log.add("consent.viewed")

    with pytest.raises(Broken, match="^index 2: number 2 of its connection comes after 2$"):
        verify(log.export())


def erase(export: Any, *indices: int) -> Any:
    for line in export.entries:
        if line["index"] in indices:
            line["disclosures"].pop("personal", None)
    return export


@pytest.mark.parametrize(
    ("amount", "by", "message"),
    [
        (EUR_10, "-30", "total spent does not grow by one amount"),
        (EUR_10, "-10.01", "total spent does not grow by one amount"),
    ],
)
def test_an_erased_amount_cannot_lower_the_total(amount: Any, by: str, message: str, log: LogBuilder, verify: Verify):
    log.allow(amount={"currency": "EUR", "value": "30"})
    log.lie_about("EUR", by)
    log.allow(amount=amount)

    with pytest.raises(Broken, match=f"^index 1: {message}$"):
        verify(erase(log.export(), 1))


def test_an_erased_amount_has_one_currency(log: LogBuilder, verify: Verify):
    log.lie_about("USD", "5")
    log.allow(amount=EUR_10)

    with pytest.raises(Broken, match="^index 0: total spent does not grow by one amount$"):
        verify(erase(log.export(), 0))


def spend_in(log: LogBuilder, number: int, value: str = "0") -> None:
    for place in range(number):
        log.allow(amount={"currency": f"{chr(65 + place)}AA", "value": value})


def test_totals_have_sixteen_currencies_and_limits_hold_in_any(log: LogBuilder, verify: Verify):
    spend_in(log, 15)
    log.allow(amount=EUR_10)
    log.allow(amount={"currency": "USD", "value": "7"})
    log.allow(amount=EUR_10)
    export = log.export()

    assert verify(export, spendings=[parse_spending("20/EUR/60"), parse_spending("7/USD/60")])
    with pytest.raises(Broken, match="^index 16: 7 USD spent"):
        verify(export, spendings=[parse_spending("6/USD/60")])


def test_a_seventeenth_currency_is_not_in_the_totals(log: LogBuilder, verify: Verify):
    spend_in(log, 16, "1")
    log.lie_about("USD", "7")
    log.allow(amount={"currency": "USD", "value": "7"})

    with pytest.raises(Broken, match="^index 16: spent has more than 16 currencies$"):
        verify(log.export())


def test_totals_do_not_make_room_scarce_with_currencies_of_no_amount(log: LogBuilder, verify: Verify):
    log.allow(amount=EUR_10)
    log.lie_about("USD", "0")
    log.allow(amount=EUR_10)

    with pytest.raises(Broken, match="^index 1: total spent is 20 EUR, 0 USD and must be 20 EUR$"):
        verify(log.export())


def test_a_hidden_amount_that_may_not_count_in_the_totals_is_not_inferred(log: LogBuilder, verify: Verify):
    spend_in(log, 16)
    log.allow(amount=EUR_10)
    export = erase(log.export(), 16)

    assert verify(export).entries == 18
    with pytest.raises(Unusable, match="^index 16: spending cannot be checked"):
        verify(export, spendings=[parse_spending("100/EUR/60")])


def test_a_decision_without_personal_data_spends_nothing(log: LogBuilder, verify: Verify):
    log.lie_about("EUR", "5")
    log.allow()

    with pytest.raises(Broken, match="^index 0: total spent is 5 EUR and must be nothing$"):
        verify(log.export())


def test_totals_in_a_part_of_a_stream_follow_from_its_first_entry(log: LogBuilder, verify: Verify):
    for _ in range(4):
        log.allow(amount=EUR_10)
    log.lie_about("allowed", 1)
    log.allow(amount=EUR_10)

    assert verify(log.export("connection", CONSENT, start=1, end=3)).entries == 5
    with pytest.raises(Broken, match="^index 4: total allowed is 6 and must be 5$"):
        verify(log.export("connection", CONSENT, start=2))


def test_totals_do_not_shrink_in_the_gap_before_the_export_s_own_entry(log: LogBuilder, verify: Verify):
    for _ in range(4):
        log.allow()
    log.lie_about("allowed", -2)
    log.deny()

    with pytest.raises(Broken, match="^index 5: the totals of its connection shrink$"):
        verify(log.export("connection", CONSENT, end=2.5))


@pytest.mark.parametrize(
    "amount",
    [
        "12",
        {"currency": "EUR"},
        {"currency": 1, "value": "1"},
        {"currency": "EUR", "value": "-1"},
        {"currency": "EUR", "value": "1e5"},
        {"currency": "EUR", "value": "１"},
        {"currency": "EUR", "value": True},
        {"currency": "EUR", "value": None},
        {"currency": "EUR", "value": "9" * 41},
    ],
)
def test_a_malformed_amount_is_named(amount: Any, verify: Verify):
    class Careless(LogBuilder):
        def _connection(self, record: dict[str, Any], personal: Any) -> dict[str, Any]:
            return {"number": 1, "allowed": 1, "denied": 0, "spent": {}}

    log = Careless()
    log.allow(amount=amount)
    with pytest.raises(Broken, match="^index 0: .*amount"):
        verify(log.export())


@pytest.mark.parametrize("value", ["12.50", 12, 12.5])
def test_an_amount_is_a_string_or_a_number(value: Any, log: LogBuilder, verify: Verify):
    log.allow(amount={"currency": "EUR", "value": value})

    assert verify(log.export()).entries == 2


@pytest.mark.parametrize(
    "totals",
    [
        None,
        {"number": 1, "allowed": 1, "denied": 0},
        {"number": 1, "allowed": True, "denied": 0, "spent": {}},
        {"number": 1, "allowed": -1, "denied": 0, "spent": {}},
        {"number": 1, "allowed": 1, "denied": 0, "spent": []},
        {"number": 1, "allowed": 1, "denied": 0, "spent": {"EUR": "-1"}},
        {"number": 1, "allowed": 1, "denied": 0, "spent": {}, "more": 1},
    ],
)
def test_malformed_totals_are_named(totals: Any, verify: Verify):
    class Careless(LogBuilder):
        def _connection(self, record: dict[str, Any], personal: Any) -> Any:
            return totals

    log = Careless()
    log.allow()
    with pytest.raises(Broken, match="^index 0: "):
        verify(log.export())


RECORDS = [
    ({"v": 2}, "this version does not know the record: v 2, outcome 'allowed'"),
    ({"outcome": "maybe"}, "this version does not know the record: v 1, outcome 'maybe'"),
    ({"timestamp": "2026-01-01T00:00:00+00:00"}, "timestamp is not a time in UTC"),
    ({"timestamp": "2026-13-01T00:00:00Z"}, "timestamp is not a time: "),
    ({"timestamp": "２026-01-01T00:00:00Z"}, "timestamp is not a time in UTC"),
    ({"agentId": 5}, "agentId is not a string"),
    ({"id": None}, "id is not a string"),
    ({"scopes": "email:read"}, "scopes is not a list of strings"),
    ({"serviceOrganizationIds": ["org_2", ["org_3"]]}, "serviceOrganizationIds is not a list of strings"),
    ({"personal": "AB"}, "the root of personal is not a root"),
    ({"withheld": 5}, "the root of withheld is not a root"),
]


@pytest.mark.parametrize(("change", "message"), RECORDS)
def test_a_malformed_record_is_named(change: dict[str, Any], message: str, log: LogBuilder, verify: Verify):
    log.add("token.verify", "allowed")
    log.records[0].update(change)
    log.leaves[0] = canonical({"index": 0, "record": log.records[0], "streams": log.groups[0]["streams"].root}).encode()
    log.records[0].update(userId=PERSON)
    with pytest.raises(Broken, match=f"^index 0: {message}"):
        verify(log.export())


def test_a_record_without_a_member_is_named(log: LogBuilder, verify: Verify):
    log.deny()
    leaf = {"index": 0, "record": {**log.records[0]}, "streams": log.groups[0]["streams"].root}
    del leaf["record"]["scopes"]
    log.leaves[0] = canonical(leaf).encode()
    with pytest.raises(Broken, match="^index 0: the record has no scopes$"):
        verify(log.export())


def test_parts_of_other_streams_are_named(log: LogBuilder, verify: Verify):
    """The log cannot count an entry in a stream that it does not belong to."""

    class Confused(LogBuilder):
        def _streams(self, record: dict[str, Any], personal: Any) -> Any:
            return super()._streams({**record, "serviceOrganizationIds": ["org_7"]}, personal)

    confused = Confused()
    confused.deny()
    with pytest.raises(Broken, match="^index 0: the parts of streams are not those of the entry$"):
        verify(confused.export())


SEVERAL = ["org_7", SERVICE]


@pytest.mark.parametrize(
    ("kind", "reader"),
    [("person", PERSON), ("organization", ORGANIZATION), *(("organization", one) for one in SEVERAL)],
)
@pytest.mark.parametrize("own", [ORGANIZATION, None])
def test_services_need_not_know_of_each_other(kind: str, reader: str, own: Any, log: LogBuilder, verify: Verify):
    log.add("consent.revoked", services=SEVERAL, organizationId=own, policy={"policyId": "pol_1"})
    options = {"organizationId": reader} if kind == "organization" else {}

    export = log.export(kind, reader, **options)

    assert verify(export).entries == (1 if (own, reader) == (None, ORGANIZATION) else 2)
    other = {"org_7": SERVICE, SERVICE: "org_7"}.get(reader)
    assert other is None or other.encode() not in export.data()


def test_an_entry_of_hidden_services_belongs_to_its_readers_only(log: LogBuilder, verify: Verify):
    log.add("consent.revoked", services=SEVERAL)
    export = log.export("organization", "org_9", organizationId="org_9")
    line = log.line(0, 2, "organization", "org_9")
    line["disclosures"]["withheld"] = log.groups[0]["withheld"].shown(set())
    export.entries.insert(0, line)

    with pytest.raises(Broken, match="^index 0: the entry does not belong to organization org_9$"):
        verify(export)


@pytest.mark.parametrize("value", ["org_7", [], ["org_7"], ["org_7", 1], {"org_7": 1}])
def test_a_malformed_list_of_services_is_named(value: Any, log: LogBuilder, verify: Verify):
    log.add("consent.revoked")
    log.groups[0]["withheld"].add("services", value)
    log.records[0]["withheld"] = log.groups[0]["withheld"].root
    log.leaves[0] = canonical({"index": 0, "record": log.records[0], "streams": log.groups[0]["streams"].root}).encode()

    with pytest.raises(Broken, match="^index 0: the part services is not a list of several organizations$"):
        verify(log.export())


@pytest.mark.parametrize(
    ("names", "is_right"),
    [
        (["organization:org_7", "organization:org_2", "person", "connection"], False),
        ([f"organization:{ORGANIZATION}", "organization:org_7", "person", "connection"], True),
        ([f"organization:{ORGANIZATION}", "organization:org_7", "organization:org_7", "person", "connection"], False),
        ([f"organization:{ORGANIZATION}", "agent", "person", "connection"], False),
        ([f"organization:{ORGANIZATION}", "organization:org_7", "connection", "person"], False),
        ([f"organization:{ORGANIZATION}", "organization:org_7", "person"], False),
    ],
)
def test_the_parts_of_streams_fit_a_hidden_list(names: list[str], is_right: bool, log: LogBuilder):
    log.add("consent.revoked", services=SEVERAL)
    streams = log.groups[0]["streams"]
    streams.items.clear()
    for name in names:
        streams.add(name, {"number": 1})
    log.leaves[0] = canonical({"index": 0, "record": log.records[0], "streams": streams.root}).encode()
    line = log.line(0, 1)
    line["disclosures"] = {"streams": streams.shown()}

    if is_right:
        assert read_entry(line).concerns("org_7")
        return
    with pytest.raises(Broken, match="the parts of streams are not those of the entry"):
        read_entry(line)


def test_unknown_parts_are_named(log: LogBuilder, verify: Verify):
    log.deny(ip="203.0.113.9")
    log.groups[0]["personal"].items.clear()
    log.groups[0]["personal"].add("secret", 1)
    log.records[0]["personal"] = log.groups[0]["personal"].root
    log.leaves[0] = canonical({"index": 0, "record": log.records[0], "streams": log.groups[0]["streams"].root}).encode()
    with pytest.raises(Broken, match="^index 0: the parts of personal are unknown or out of order"):
        verify(log.export())


NOTHING: dict[str, Any] = {}
FOREVER = [
    ("consent.revoked", NOTHING),
    ("consent.replaced", NOTHING),
    ("consent.expired", NOTHING),
    ("consent.denied", NOTHING),
    ("agent.expired", {"consentId": None}),
    ("user.erased", {"agentId": None, "consentId": None}),
]
UNTIL = [
    ("agent.suspended", "agent.reactivated", {"userId": None, "consentId": None}),
    ("agent.stopped", "agent.stop_lifted", {"userId": None, "consentId": None}),
    ("organization.suspended", "organization.reactivated", {"userId": None, "agentId": None, "consentId": None}),
    ("organization.stopped", "organization.resumed", {"userId": None, "agentId": None, "consentId": None}),
    ("organization.deletion_started", "organization.restored", {"userId": None, "agentId": None, "consentId": None}),
    ("user.deactivated", "user.reactivated", {"agentId": None, "consentId": None}),
    ("agent.paused", "agent.resumed", NOTHING),
    ("agents.paused", "agents.resumed", {"organizationId": None, "agentId": None, "consentId": None}),
]


def stream_of(event: str) -> tuple[str, str]:
    return ("person", PERSON) if event.startswith(("user.", "agents.")) else ("organization", ORGANIZATION)


@pytest.mark.parametrize(("event", "options"), [*FOREVER, *((event, options) for event, _, options in UNTIL)])
def test_nothing_is_allowed_after_an_end_or_a_stop(event: str, options: Any, log: LogBuilder, verify: Verify):
    log.allow()
    log.add(event, **options)
    log.deny()
    log.allow()

    with pytest.raises(Broken, match=f"^index 3: allowed after {event} at index 1$"):
        verify(log.export(*stream_of(event)))


@pytest.mark.parametrize(("event", "options"), [*FOREVER, *((event, options) for event, _, options in UNTIL)])
def test_no_introspection_calls_a_token_live_after_an_end_or_a_stop(
    event: str, options: Any, log: LogBuilder, verify: Verify
):
    log.add("token.introspected", "allowed")
    log.add(event, **options)
    log.add("token.introspected", "denied")
    assert verify(log.export(*stream_of(event))).entries == 4

    log.add("token.introspected", "allowed")
    with pytest.raises(Broken, match=f"^index 4: allowed after {event} at index 1$"):
        verify(log.export(*stream_of(event)))


@pytest.mark.parametrize(("event", "options"), FOREVER)
def test_an_end_is_not_lifted(event: str, options: Any, log: LogBuilder, verify: Verify):
    log.add(event, **options)
    for _, lift, _ in UNTIL:
        log.add(lift)
    log.allow()

    with pytest.raises(Broken, match=f"^index {len(UNTIL) + 1}: allowed after {event} at index 0$"):
        verify(log.export(*stream_of(event)))


@pytest.mark.parametrize(("event", "lift", "options"), UNTIL)
def test_only_its_own_event_lifts_a_stop(event: str, lift: str, options: Any, log: LogBuilder, verify: Verify):
    log.add(event, **options)
    log.add(event, **options)
    log.add(lift, **options)
    log.allow()
    assert verify(log.export(*stream_of(event))).entries == 5

    log.add(event, **options)
    for _, other, _ in UNTIL:
        if other != lift:
            log.add(other)
    log.allow()
    with pytest.raises(Broken, match=f"^index {len(UNTIL) + 5}: allowed after {event} at index 5$"):
        verify(log.export(*stream_of(event)))


def test_an_end_is_of_one_connection_agent_or_person_only(log: LogBuilder, verify: Verify):
    for event, _ in FOREVER:
        log.add(event, consentId="con_2", agentId="agt_2", userId="usr_2")
    for event, _, _ in UNTIL:
        log.add(event, consentId="con_2", agentId="agt_2", userId="usr_2", serviceOrganizationIds=[SERVICE])
        log.add(event.replace("organization.", "agent."), organizationId=SERVICE, agentId="agt_2", userId=None)
    log.allow(serviceOrganizationIds=["org_3"], organizationId=None)
    log.allow()

    assert verify(log.export("person", PERSON)).entries == 3


def test_a_pause_is_of_one_connection_only(log: LogBuilder, verify: Verify):
    log.add("agent.paused", agentId="agt_2", consentId="con_2")
    log.add("agent.paused", userId="usr_2", consentId="con_3")
    log.allow()
    assert verify(log.export("organization", ORGANIZATION)).entries == 4

    log.allow(agentId="agt_2", consentId="con_4")
    with pytest.raises(Broken, match="^index 4: allowed after agent.paused at index 0$"):
        verify(log.export("organization", ORGANIZATION))


def test_a_pause_outlasts_a_renewal(log: LogBuilder, verify: Verify):
    log.add("agent.paused")
    log.add("consent.replaced")
    log.add("consent.approved", consentId="con_2")
    log.allow(consentId="con_2")

    with pytest.raises(Broken, match="^index 3: allowed after agent.paused at index 0$"):
        verify(log.export())


@pytest.mark.parametrize("end", ["consent.revoked", "consent.expired"])
def test_a_pause_of_one_agent_ends_with_its_connection(end: str, log: LogBuilder, verify: Verify):
    log.add("agent.paused")
    log.add(end)
    log.add("consent.approved", consentId="con_2")
    log.allow(consentId="con_2")
    assert verify(log.export()).entries == 5

    log.add("agents.paused", agentId=None, consentId=None)
    log.add(end, consentId="con_2")
    log.allow(consentId="con_3")
    with pytest.raises(Broken, match="^index 7: allowed after agents.paused at index 5$"):
        verify(log.export())


def narrow(log: LogBuilder, *removed: str, **options: Any) -> None:
    connection = {"metadata": {"removed": list(removed)}, "scopes": ["email:read"]}
    log.add("consent.narrowed", connection=connection, scopes=[], metadata={}, **options)


@pytest.mark.parametrize(("kind", "reader"), [("person", PERSON), ("organization", ORGANIZATION)])
def test_no_scope_is_allowed_after_it_was_taken_from_its_consent(
    kind: str, reader: str, log: LogBuilder, verify: Verify
):
    log.allow(scopes=["email:read", "email:send"])
    narrow(log, "email:send", "email:draft")
    narrow(log, "email:send", consentId="con_2")
    log.allow(scopes=["email:read"])
    log.add("token.introspected", "allowed", scopes=[])
    log.add("consent.replaced")
    log.add("consent.approved", consentId="con_3")
    log.allow(consentId="con_3", scopes=["email:send"])
    assert verify(log.export(kind, reader)).decisions == 3

    log.allow(consentId="con_2", scopes=["email:read", "email:send"])
    with pytest.raises(Broken, match="^index 9: allowed after consent.narrowed at index 2$"):
        verify(log.export(kind, reader))


def test_a_narrowing_whose_scopes_are_hidden_is_not_checked(log: LogBuilder, verify: Verify):
    narrow(log, "email:read", services=SEVERAL)
    log.allow(serviceOrganizationIds=[SERVICE])
    export = log.export("organization", SERVICE, organizationId=SERVICE)

    assert verify(export).incomplete == 1


@pytest.mark.parametrize("value", [None, [], {}, {"metadata": {}}, {"metadata": {"removed": ["email:read", 1]}}])
def test_a_malformed_narrowing_is_named(value: Any, log: LogBuilder, verify: Verify):
    log.add("consent.narrowed")
    log.groups[0]["withheld"].add("connection", value)
    log.records[0]["withheld"] = log.groups[0]["withheld"].root
    log.leaves[0] = canonical({"index": 0, "record": log.records[0], "streams": log.groups[0]["streams"].root}).encode()

    with pytest.raises(Broken, match="^index 0: the part connection does not say which scopes were removed$"):
        verify(log.export())


@pytest.mark.parametrize("event", ["organization.suspended", "organization.deletion_started"])
def test_a_suspended_service_is_answered_with_no(event: str, log: LogBuilder, verify: Verify):
    log.add(event, organizationId=SERVICE, userId=None, agentId=None, consentId=None)
    log.allow(serviceOrganizationIds=["org_3", SERVICE])

    with pytest.raises(Broken, match=f"^index 1: allowed after {event} at index 0$"):
        verify(log.export("organization", SERVICE, organizationId=SERVICE))


@pytest.mark.parametrize(
    ("times", "index"),
    [
        ([0, 10, 20, 30], None),
        ([0, 5, 10, 15], None),
        ([0, 0, 10, 10, 20], None),
        ([0, 5, 9.999], 2),
        ([0, 1, 2, 3], 2),
        ([0, 10, 20, 11, 19], 4),
        ([9.999, 5, 0], 0),
    ],
)
def test_a_limit_holds_in_every_window(times: list[float], index: int | None, log: LogBuilder, verify: Verify):
    for at in times:
        log.allow(at=at)
        log.deny(at=at)
    export = log.export()
    limits = [Limit(100, 60), Limit(2, 10)]

    if index is None:
        assert verify(export, limits=limits).decisions == 2 * len(times)
    else:
        with pytest.raises(Broken, match=f"^index {2 * index}: number 3 within 10 seconds from 2026-01-01"):
            verify(export, limits=limits)


def test_a_limit_of_zero_allows_nothing(log: LogBuilder, verify: Verify):
    log.deny()
    assert verify(log.export(), limits=[Limit(0, 10)])
    log.allow()
    with pytest.raises(Broken, match="^index 2: number 1 within 10 seconds"):
        verify(log.export(), limits=[Limit(0, 10)])


SPENT = [
    ([(0, "50"), (5, "50"), (10, "50")], None),
    ([(0, "50"), (5, "50"), (9.999, "0.01")], 2),
    ([(0, "100.01")], 0),
    ([(0, "0.1")] * 1000, None),
    ([(20, "60"), (0, "60"), (15, "60")], 0),
]


@pytest.mark.parametrize("are_erased", [False, True])
@pytest.mark.parametrize(("amounts", "index"), SPENT)
def test_a_limit_of_spending_holds(amounts: Any, index: int | None, are_erased: bool, log: LogBuilder, verify: Verify):
    for at, value in amounts:
        log.allow(at=at, amount={"currency": "EUR", "value": value})
        log.deny(at=at, amount={"currency": "EUR", "value": "999"})
    export = log.export()
    if are_erased:
        erase(export, *range(len(log.leaves)))
    spendings = [parse_spending("100.00/EUR/10"), parse_spending("0/USD/10")]

    if index is None:
        assert verify(export, spendings=spendings)
    else:
        with pytest.raises(Broken, match=rf"^index {2 * index}: [0-9.]+ EUR spent within 10 seconds from 2026-01-01"):
            verify(export, spendings=spendings)


def test_spending_is_not_checked_without_amounts(log: LogBuilder, verify: Verify):
    log.allow(amount=EUR_10)
    export = erase(log.export("organization", ORGANIZATION), 0)

    assert verify(export).entries == 2
    with pytest.raises(Unusable, match="^index 0: spending cannot be checked, because the amount is not disclosed$"):
        verify(export, spendings=[Spending(*_spending())])


def _spending() -> tuple[Any, str, int]:
    parsed = parse_spending("10/EUR/10")
    return parsed.amount, parsed.currency, parsed.seconds


@pytest.mark.parametrize("text", ["", "5", "5/", "/5", "-1/5", "5/0", "5/10s", "1.5/10", "５/10", "5/10/3"])
def test_a_malformed_limit_is_refused(text: str):
    with pytest.raises(Unusable, match="not a limit, which looks like 20/3600"):
        parse_limit(text)


@pytest.mark.parametrize(
    "text", ["", "5/EUR", "5/10", "x/EUR/5", "5.5.5/EUR/5", "-5/EUR/5", "5/EUR/0", "5//5", "./EUR/5"]
)
def test_a_malformed_limit_of_spending_is_refused(text: str):
    with pytest.raises(Unusable, match="not a limit of spending, which looks like 100.00/EUR/86400"):
        parse_spending(text)


def test_an_end_without_an_id_ends_nothing(log: LogBuilder, verify: Verify):
    log.add("agent.suspended", agentId=None)
    log.add("consent.denied", consentId=None)
    log.allow(agentId=None, consentId=None)

    assert verify(log.export()).entries == 4


UNREADABLE = {"unreadable": True}
UNREADABLE_AMOUNTS: list[Any] = [
    "12",
    12,
    [],
    {},
    {"value": "+1", "currency": "EUR"},
    {"value": "1", "currency": "eur"},
]


def sending(amount: Any) -> dict[str, Any]:
    return {"callerIp": "203.0.113.9", "context": {"amount": amount, "n": 1}}


@pytest.mark.parametrize("sent", UNREADABLE_AMOUNTS)
def test_spending_is_not_checked_with_an_unreadable_amount(sent: Any, log: LogBuilder, verify: Verify):
    log.allow(amount=EUR_10)
    log.deny(amount=UNREADABLE, call=sending(sent))
    log.allow(amount=UNREADABLE, call=sending(sent))
    export = log.export()

    assert verify(export).unreadable == 1
    message = "^index 2: spending cannot be checked, because the server could not read its amount$"
    with pytest.raises(Unusable, match=message):
        verify(export, spendings=[parse_spending("10/EUR/10")])


def test_an_unreadable_amount_adds_nothing_to_the_totals(log: LogBuilder, verify: Verify):
    log.lie_about("EUR", "1")
    log.allow(amount=UNREADABLE)

    with pytest.raises(Broken, match="^index 0: total spent is 1 EUR and must be nothing$"):
        verify(log.export())


def test_an_erased_amount_may_have_been_unreadable(log: LogBuilder, verify: Verify):
    log.allow(amount=UNREADABLE)
    export = erase(log.export(), 0)

    with pytest.raises(Unusable, match="^index 0: spending cannot be checked, because the amount is not disclosed$"):
        verify(export, spendings=[parse_spending("10/EUR/10")])


@pytest.mark.parametrize("unreadable", [{"unreadable": False}, {"unreadable": 1}, {"unreadable": True, "value": "1"}])
def test_an_amount_is_unreadable_in_one_way(unreadable: Any, verify: Verify):
    class Careless(LogBuilder):
        def _connection(self, record: dict[str, Any], personal: Any) -> dict[str, Any]:
            return {"number": 1, "allowed": 1, "denied": 0, "spent": {}}

    log = Careless()
    log.allow(amount=unreadable)
    with pytest.raises(Broken, match="^index 0: amount is not a currency and a value$"):
        verify(log.export())


@pytest.mark.parametrize(
    ("parts", "sent"),
    [
        ({"amount": EUR_10}, {"currency": "EUR", "value": 10}),
        ({}, None),
    ],
)
def test_an_amount_is_the_one_that_was_sent(parts: Any, sent: Any, log: LogBuilder, verify: Verify):
    log.allow(**parts, call=sending(sent))

    assert verify(log.export(), spendings=[parse_spending("10/EUR/10")]).decisions == 1


@pytest.mark.parametrize("outcome", ["allowed", "denied"])
@pytest.mark.parametrize(
    ("parts", "sent"),
    [
        ({"amount": {"currency": "EUR", "value": "1"}}, EUR_10),
        ({"amount": EUR_10}, {**EUR_10, "multiplier": 100}),
        ({"amount": {"currency": "USD", "value": "10"}}, EUR_10),
        ({"amount": EUR_10}, None),
        ({"amount": EUR_10}, {"currency": "EUR", "value": True}),
        ({"amount": UNREADABLE}, None),
        ({}, EUR_10),
        ({}, "+1000"),
    ],
)
def test_another_amount_than_was_sent_is_named(outcome: str, parts: Any, sent: Any, log: LogBuilder, verify: Verify):
    log.add("token.verify", outcome, **parts, call=sending(sent))

    with pytest.raises(Broken, match="^index 0: amount is .*, and the context has "):
        verify(log.export())


SHORTENED = {"size": 5000, "sha256": "0", "beginning": "{", "fields": ["text"], "named": {}}


def test_a_context_that_was_too_long_does_not_tell_its_amount(log: LogBuilder, verify: Verify):
    log.allow(amount=EUR_10, call={"shortenedContext": SHORTENED})

    assert verify(log.export()).decisions == 1


def test_a_context_that_looks_like_a_shortened_one_is_a_context(log: LogBuilder, verify: Verify):
    forged = {"truncated": True, "size": 5000, "sha256": "0", "beginning": "{"}
    log.allow(amount=EUR_10, call={"context": forged})

    with pytest.raises(Broken, match="^index 0: amount is .*, and the context has None$"):
        verify(log.export())


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ({"context": {}, "shortenedContext": SHORTENED}, "call has a context and a shortened one"),
        ({"shortenedContext": {**SHORTENED, "amount": 1}}, "shortenedContext has .*amount"),
        ({"shortenedContext": {**SHORTENED, "size": "1"}}, "the size of shortenedContext is not a number"),
        ({"shortenedContext": {**SHORTENED, "beginning": {}}}, "beginning of shortenedContext is not a string"),
        ({"shortenedContext": "x"}, "shortenedContext is not an object"),
    ],
)
def test_a_shortened_context_has_one_form(call: Any, problem: str, log: LogBuilder, verify: Verify):
    log.allow(call=call)

    with pytest.raises(Broken, match=problem):
        verify(log.export())


def test_an_amount_without_its_context_is_not_compared(log: LogBuilder, verify: Verify):
    log.allow(amount=EUR_10, call=sending(None))
    export = log.export()
    shown = export.entries[0]["disclosures"]["personal"]
    shown[0] = {"digest": hashlib.sha256(shown[0].encode()).hexdigest()}

    assert verify(export).decisions == 1


RESERVED = {**EUR_10, "reserved": True}


def test_a_reserved_amount_counts_when_it_is_committed(log: LogBuilder, verify: Verify):
    context = {"amount": EUR_10, "text": "A ticket"}
    log.allow(amount=RESERVED, call={"context": context}, at=0)
    log.allow(amount=RESERVED, at=1)
    log.add("reservation.committed", amount={"currency": "EUR", "value": "7.50"}, at=20)
    log.add("reservation.voided", at=21)
    log.allow(amount=RESERVED, at=22)
    log.add("reservation.lapsed", at=40)
    log.allow(amount=EUR_10, at=41)
    export = log.export()

    held = [parse_spending("17.50/EUR/60"), parse_spending("10/EUR/20")]
    assert verify(export, spendings=held, limits=[Limit(4, 60)]).decisions == 4
    with pytest.raises(Broken, match="^index 6: 17.50 EUR spent within 60 seconds"):
        verify(export, spendings=[parse_spending("17.49/EUR/60")])


def test_a_commit_whose_amount_was_erased_counts_by_the_totals(log: LogBuilder, verify: Verify):
    log.add("reservation.committed", amount=EUR_10)
    export = erase(log.export(), 0)

    assert verify(export, spendings=[parse_spending("10/EUR/60")])
    with pytest.raises(Broken, match="10 EUR spent"):
        verify(export, spendings=[parse_spending("9/EUR/60")])


@pytest.mark.parametrize(
    ("event", "amount", "by"),
    [
        ("token.verify", RESERVED, "10"),
        ("reservation.committed", EUR_10, "-10"),
        ("reservation.committed", EUR_10, "0.01"),
        ("reservation.voided", EUR_10, "10"),
        ("reservation.lapsed", EUR_10, "10"),
    ],
)
def test_a_total_that_counts_another_amount_than_the_committed_one_is_named(
    event: str, amount: Any, by: str, log: LogBuilder, verify: Verify
):
    log.lie_about("EUR", by)
    log.add(event, "allowed" if event == "token.verify" else "info", amount=amount)

    with pytest.raises(Broken, match="^index 0: total spent is "):
        verify(log.export())


@pytest.mark.parametrize("amount", [RESERVED, {**EUR_10, "reserved": False}, {"reserved": True}])
def test_a_commit_reserves_nothing(amount: Any, log: LogBuilder, verify: Verify):
    log.add("reservation.committed", amount=amount)

    with pytest.raises(Broken, match="^index 0: amount is not a currency and a value$"):
        verify(log.export())


@pytest.mark.parametrize("reserved", [False, 1, "true", None])
def test_a_reserved_amount_says_so_with_true(reserved: Any, log: LogBuilder, verify: Verify):
    log.allow(amount={**EUR_10, "reserved": reserved})

    with pytest.raises(Broken, match="^index 0: amount is not a currency and a value$"):
        verify(log.export())


def test_a_reserved_amount_must_be_the_one_of_the_context(log: LogBuilder, verify: Verify):
    log.allow(amount=RESERVED, call={"context": {"amount": {"currency": "EUR", "value": "11"}}})

    with pytest.raises(Broken, match="^index 0: amount is .* and the context has"):
        verify(log.export())
