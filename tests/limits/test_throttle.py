from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from django.db import transaction

from core.errors import Throttled
from limits import throttle
from limits.models import Counter
from limits.throttle import Subject, Throttle, address_subjects, parse_rate
from tests.samples import sample
from tests.threads import race

THROTTLE = Throttle("sign_in", "2/minute")
SUBJECT = Subject("address:192.0.2.1")
OTHER = Subject("address:192.0.2.2")

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(datetime(2026, 3, 23, 12, tzinfo=UTC), tick=False) as traveller:
        yield traveller


def is_throttled(*subjects: Subject, by: Throttle = THROTTLE) -> bool:
    try:
        by.check(*subjects)
    except Throttled:
        return True
    return False


def test_attempts_up_to_the_rate_are_allowed() -> None:
    THROTTLE.count(SUBJECT)
    assert not is_throttled(SUBJECT)

    THROTTLE.count(SUBJECT)
    assert is_throttled(SUBJECT)


@pytest.mark.parametrize("attempt", [THROTTLE.check, lambda *subjects: THROTTLE.hit_all([subjects])])
def test_after_a_clock_jump_is_corrected_it_refuses_for_one_window(
    clock: time_machine.Traveller, attempt: Callable[..., Any]
) -> None:
    clock.shift(timedelta(days=2))
    THROTTLE.count(SUBJECT)
    THROTTLE.count(SUBJECT)
    clock.shift(timedelta(days=-2))
    with suppress(Throttled):
        attempt(SUBJECT)
    assert is_throttled(SUBJECT)
    clock.shift(timedelta(seconds=61))
    assert not is_throttled(SUBJECT)


def test_the_refusal_has_the_time_to_retry(clock: time_machine.Traveller) -> None:
    THROTTLE.count(SUBJECT)
    THROTTLE.count(SUBJECT)
    clock.shift(timedelta(seconds=20))
    with pytest.raises(Throttled) as caught:
        THROTTLE.check(SUBJECT)

    assert 40 <= caught.value.retry_after <= 41
    clock.shift(timedelta(seconds=caught.value.retry_after - 1))
    assert is_throttled(SUBJECT)
    clock.shift(timedelta(seconds=1))
    assert not is_throttled(SUBJECT)


def test_refusals_are_counted_by_throttle() -> None:
    before = sample("agentgate_throttled_total", throttle="sign_in")
    THROTTLE.hit(SUBJECT)
    THROTTLE.hit(SUBJECT)
    for _ in range(3):
        with pytest.raises(Throttled):
            THROTTLE.hit(SUBJECT)
    assert sample("agentgate_throttled_total", throttle="sign_in") == before + 3


def test_a_check_counts_nothing() -> None:
    for _ in range(5):
        THROTTLE.check(SUBJECT)

    assert not Counter.objects.exists()


def test_one_full_subject_refuses_the_attempt_and_does_not_affect_others() -> None:
    THROTTLE.count(SUBJECT)
    THROTTLE.count(SUBJECT)

    assert is_throttled(OTHER, SUBJECT)
    assert not is_throttled(OTHER)


def test_throttles_with_different_names_count_separately() -> None:
    THROTTLE.count(SUBJECT)
    THROTTLE.count(SUBJECT)

    Throttle("registration", "2/minute").check(SUBJECT)


def test_a_hit_checks_and_counts() -> None:
    THROTTLE.hit(SUBJECT)
    THROTTLE.hit(SUBJECT)

    with pytest.raises(Throttled):
        THROTTLE.hit(SUBJECT)


def test_a_refused_hit_counts_for_no_subject() -> None:
    THROTTLE.hit(SUBJECT)
    THROTTLE.hit(SUBJECT)
    for _ in range(5):
        with pytest.raises(Throttled):
            THROTTLE.hit(OTHER, SUBJECT)

    THROTTLE.hit(OTHER)


def test_invented_accounts_add_no_counters_at_a_full_address(django_assert_num_queries: Any) -> None:
    for number in range(2):
        THROTTLE.hit(SUBJECT, Subject(f"account:{number}"))
    before = Counter.objects.count()
    for number in range(100):
        with django_assert_num_queries(1), pytest.raises(Throttled):
            THROTTLE.hit(SUBJECT, Subject(f"account:invented-{number}"))

    assert Counter.objects.count() == before == 3


def test_a_full_account_adds_no_counter_for_other_addresses() -> None:
    for _ in range(2):
        THROTTLE.hit(SUBJECT)
    with pytest.raises(Throttled):
        THROTTLE.hit(OTHER, SUBJECT)

    assert Counter.objects.count() == 1


def test_invented_accounts_in_one_batch_add_only_the_counters_that_count() -> None:
    refusals = THROTTLE.hit_all([[SUBJECT, Subject(f"account:{number}")] for number in range(100)])

    assert [refusal is None for refusal in refusals] == [True] * 2 + [False] * 98
    assert Counter.objects.count() == 3


@pytest.mark.parametrize("read", ["read_counters", "preview_all"])
def test_the_lock_decides_if_the_room_was_taken_after_the_plain_read(
    read: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_before_others(*given: Any) -> Any:
        found = original(*given)
        THROTTLE.count(SUBJECT)
        return found

    original = getattr(throttle, read)
    THROTTLE.hit(SUBJECT)
    monkeypatch.setattr(throttle, read, read_before_others)
    if read == "read_counters":
        with pytest.raises(Throttled):
            THROTTLE.hit(OTHER, SUBJECT)
    else:
        assert isinstance(THROTTLE.hit_all([[OTHER, SUBJECT]])[0], Throttled)

    monkeypatch.undo()
    for _ in range(2):
        THROTTLE.hit(OTHER)


def test_forgiving_a_success_makes_room() -> None:
    for _ in range(5):
        THROTTLE.hit(SUBJECT)
        THROTTLE.forgive(SUBJECT)

    assert not is_throttled(SUBJECT)


@pytest.mark.parametrize(("raised", "counts"), [(None, False), (KeyError, False), (ValueError, True)])
def test_a_guess_counts_if_it_was_wrong(raised: type[Exception] | None, counts: bool) -> None:
    for _ in range(2):
        with pytest.raises(raised) if raised else nullcontext(), THROTTLE.guess(SUBJECT, OTHER, wrong=ValueError):
            if raised:
                raise raised
    assert (is_throttled(SUBJECT), is_throttled(OTHER)) == (counts, counts)


def test_a_guess_beyond_the_rate_is_not_made() -> None:
    THROTTLE.count(SUBJECT)
    THROTTLE.count(SUBJECT)
    with pytest.raises(Throttled), THROTTLE.guess(SUBJECT, wrong=ValueError):
        pytest.fail("guessed")
    assert is_throttled(SUBJECT)


def test_a_success_is_moved_to_another_throttle_in_one_transaction(django_assert_num_queries: object) -> None:
    successes = Throttle("successes", "2/minute")
    for number in range(3):
        THROTTLE.hit(SUBJECT)
        with django_assert_num_queries(4):  # BEGIN, COMMIT, and the counters twice
            THROTTLE.succeed(SUBJECT, counted=[OTHER, SUBJECT], by=successes)
        assert not is_throttled(SUBJECT)
        assert is_throttled(OTHER, by=successes) is (number > 0)
        assert is_throttled(SUBJECT, by=successes) is (number > 0)


def test_attempts_stay_counted_if_the_caller_fails_afterwards() -> None:
    def hit_and_fail() -> None:
        THROTTLE.hit(SUBJECT)
        with transaction.atomic():
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            hit_and_fail()

    assert is_throttled(SUBJECT)


def test_a_throttle_inside_another_transaction_is_an_error() -> None:
    for count in (THROTTLE.count, THROTTLE.hit, THROTTLE.forgive):
        with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
            count(SUBJECT)


@pytest.mark.django_db(transaction=True)
def test_concurrent_hits_of_overlapping_accounts_and_addresses_count_exactly() -> None:
    def hit(number: int) -> bool:
        account = Subject(f"account:{number % 4}", 4)
        return THROTTLE.hit_all([[Subject(f"address:{number // 4}"), account]]) == [None]

    assert sum(race([partial(hit, number) for number in range(16)])) == 8


@pytest.mark.django_db(transaction=True)
def test_exactly_as_many_concurrent_hits_as_the_rate_pass() -> None:
    outcomes = race([partial(THROTTLE.hit, SUBJECT)] * 16)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] * 2 + ["Throttled"] * 14


@pytest.mark.parametrize(
    ("rate", "parsed"),
    [("1/second", (1, 1)), ("10/minute", (10, 60)), ("20/hour", (20, 3600)), ("5000/day", (5000, 86_400))],
)
def test_a_rate_is_a_number_and_a_window(rate: str, parsed: tuple[int, int]) -> None:
    assert parse_rate(rate) == parsed


@pytest.mark.parametrize(
    "rate", ["", "10", "10/", "/minute", "0/minute", "-1/minute", "10/minutes", "10 / minute", "10/minute\n"]
)
def test_a_malformed_rate_is_an_error_that_shows_the_format(rate: str) -> None:
    with pytest.raises(ValueError, match="Use a number"):
        parse_rate(rate)


def test_a_missing_subject_or_a_plain_email_address_is_an_error() -> None:
    for subjects in ((), (Subject("account:ada@example.org"),)):
        with pytest.raises(ValueError, match="at least one subject"):
            THROTTLE.count(*subjects)


@pytest.mark.parametrize(
    ("ip", "groups"),
    [
        ("192.0.2.1", {"192.0.2.1": 1}),
        ("::ffff:192.0.2.1", {"192.0.2.1": 1}),
        ("2001:db8:1:2:3:4:5:6", {"2001:db8:1:2::/64": 1, "2001:db8:1::/48": 4}),
        ("fe80::1%eth0", {"fe80::/64": 1, "fe80::/48": 4}),
        ("", {"unknown": 1}),
        ("nonsense", {"unknown": 1}),
    ],
)
def test_an_ipv4_address_is_one_subject_and_an_ipv6_address_two_networks(ip: str, groups: dict[str, int]) -> None:
    assert address_subjects(ip) == tuple(Subject(f"address:{name}", times) for name, times in groups.items())


def test_a_subject_can_have_a_multiple_of_the_rate() -> None:
    site = Subject("address:2001:db8::/48", 2)
    for _ in range(4):
        THROTTLE.hit(site)

    with pytest.raises(Throttled):
        THROTTLE.hit(site)
