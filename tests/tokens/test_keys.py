"""Signing keys are created once, rotated without an outage, bound to an algorithm and stored encrypted."""

import base64
import hashlib
import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import jwt
import pytest
import time_machine
from django.conf import settings
from django.db import transaction
from django.test import override_settings

from core import clock
from core.actor import SYSTEM
from core.errors import Conflict
from tests.shared import cases
from tests.threads import race
from tests.waiting import wait_until
from tests.world import make_grant
from tokens import keys
from tokens.access_tokens import read_access_token
from tokens.models import SigningKey

pytestmark = pytest.mark.django_db
ALGORITHMS = ("ES256", "RS256", "EdDSA", "HS256")


@pytest.fixture(autouse=True)
def _empty_key_caches() -> None:
    """Start like a new process, which has no keys in memory."""
    keys.forget()


def issue() -> str:
    """Return a new access token."""
    return make_grant().access_token


@cases("algorithm", ALGORITHMS)
def test_tokens_of_every_algorithm_can_be_read(algorithm: str) -> None:
    with override_settings(JWT_ALGORITHM=algorithm):
        token = issue()
    header = jwt.get_unverified_header(token)
    assert header == {"alg": algorithm, "typ": "at+jwt", "kid": header["kid"]}
    assert read_access_token(token) is not None


def test_a_long_header_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwt, "get_unverified_header", None)
    assert read_access_token(f"{'W1tb' * 200}.e30.x") is None


@cases("algorithm", ALGORITHMS)
def test_only_public_keys_are_published(algorithm: str) -> None:
    with override_settings(JWT_ALGORITHM=algorithm):
        published = keys.published_jwks(clock.now())["keys"]
    assert len(published) == (0 if algorithm == "HS256" else 1)
    for key in published:
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key)
        assert key["alg"] == algorithm


@cases(
    ("algorithm", "members"),
    [("ES256", ("crv", "kty", "x", "y")), ("RS256", ("e", "kty", "n")), ("EdDSA", ("crv", "kty", "x"))],
)
def test_the_id_of_a_key_is_its_thumbprint(algorithm: str, members: tuple[str, ...]) -> None:
    """RFC 7638 section 3: the SHA-256 of the required members, sorted and without white space."""
    with override_settings(JWT_ALGORITHM=algorithm):
        (key,) = keys.published_jwks(clock.now())["keys"]
    hashed = json.dumps({name: key[name] for name in members}, separators=(",", ":")).encode()

    assert key["kid"] == base64.urlsafe_b64encode(hashlib.sha256(hashed).digest()).rstrip(b"=").decode()
    assert set(key) == {*members, "kid", "use", "alg"}


def test_changing_the_algorithm_keeps_tokens_valid() -> None:
    with override_settings(JWT_ALGORITHM="HS256"):
        token = issue()
    keys.current_key()
    assert read_access_token(token) is not None
    assert SigningKey.objects.count() == 2


def test_a_private_key_is_stored_encrypted() -> None:
    keys.current_key()
    assert b"PRIVATE KEY" not in bytes(SigningKey.objects.get().private_sealed)


def test_a_new_secret_signs_with_a_new_key_and_keeps_old_tokens_valid() -> None:
    token = issue()
    with override_settings(JWT_SECRET="another-secret-of-thirty-two-characters-0123"):
        assert keys.current_key().kid != jwt.get_unverified_header(token)["kid"]
        assert read_access_token(token) is not None


@cases("algorithm", ALGORITHMS)
def test_keys_that_another_secret_sealed_are_detected(algorithm: str) -> None:
    with override_settings(JWT_ALGORITHM=algorithm):
        assert not keys.opens_no_stored_key(clock.now()), "there is none"
        keys.current_key()
        assert not keys.opens_no_stored_key(clock.now())
        with override_settings(JWT_SECRET="another-secret-of-thirty-two-characters-0123"):
            assert keys.opens_no_stored_key(clock.now())
            keys.current_key()
            assert not keys.opens_no_stored_key(clock.now())


def test_a_new_key_is_published_before_it_signs_and_an_old_one_until_its_tokens_expire() -> None:
    start = datetime.fromisoformat("2026-11-24T12:00:00+00:00")
    with time_machine.travel(start, tick=False) as traveller:
        old = keys.current_key().kid
        new = keys.rotate_keys(actor=SYSTEM).kid
        assert {key["kid"] for key in keys.published_jwks(clock.now())["keys"]} == {old, new}
        assert keys.current_key().kid == old

        traveller.move_to(start + timedelta(minutes=10))
        assert keys.current_key().kid == new
        assert len(keys.published_jwks(clock.now())["keys"]) == 2

        traveller.move_to(start + timedelta(minutes=27))
        assert {key["kid"] for key in keys.published_jwks(clock.now())["keys"]} == {new}


@override_settings(JWT_ALGORITHM="HS256")
def test_an_hs256_key_cannot_be_rotated() -> None:
    with pytest.raises(Conflict, match="JWT_SECRET"):
        keys.rotate_keys(actor=SYSTEM)


@cases("kid", [None, 7, "", "x" * 5, "../../etc/passwd", "a" * 65, ["a"]])
def test_a_malformed_key_id_causes_no_query(kid: Any, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert keys.verification_key(kid) is None


@pytest.mark.django_db(transaction=True)
def test_four_concurrent_starts_create_one_key() -> None:
    kids = race([lambda: keys.current_key().kid] * 4)
    assert len(set(kids)) == 1
    assert SigningKey.objects.count() == 1


class Process:
    """A process's own memory of keys, which replaces that of this process while `run` runs."""

    def __init__(self) -> None:
        self.memory: tuple[dict[Any, Any], ...] = ({}, {}, {})

    def run[Result](self, work: Callable[[], Result]) -> Result:
        with pytest.MonkeyPatch.context() as patch:
            for name, memory in zip(("_known", "_signing", "_verifying"), self.memory, strict=True):
                patch.setattr(keys, name, memory)
            return work()


def test_over_a_rotation_every_cached_key_set_has_the_key_of_every_live_token() -> None:
    """Each process rereads its keys once a minute. A verifier's key set may be five minutes old."""
    start, processes = datetime.fromisoformat("2026-11-24T12:00:00+00:00"), [Process() for _ in range(3)]
    published: list[tuple[datetime, set[str]]] = []
    signed: list[tuple[datetime, str]] = []
    for step in range(250):
        now = start + step * timedelta(seconds=14)
        with time_machine.travel(now, tick=False):
            if step == 25:
                processes[0].run(lambda: keys.rotate_keys(actor=SYSTEM))
            signed.append((now, processes[step % 3].run(keys.current_key).kid))
            published.append((now, {key["kid"] for key in keys.published_jwks(now)["keys"]}))
    first, last = signed[0][1], signed[-1][1]
    assert first != last
    assert [kid for _, kid in signed] == sorted((kid for _, kid in signed), key=[first, last].index)
    for moment, kid in signed:
        valid = moment - timedelta(minutes=5), moment + settings.ACCESS_TOKEN_LIFETIME
        assert all(kid in kids for at, kids in published if valid[0] <= at <= valid[1])


def test_a_process_that_never_saw_a_new_key_reads_its_tokens() -> None:
    signing, verifying = Process(), Process()
    with time_machine.travel(datetime.fromisoformat("2026-11-24T12:00:00+00:00"), tick=False) as traveller:
        old = [process.run(keys.current_key).kid for process in (signing, verifying)]
        new = keys.rotate_keys(actor=SYSTEM).kid
        traveller.shift(keys.PUBLISH_AHEAD)
        token = signing.run(issue)
        assert jwt.get_unverified_header(token)["kid"] == new not in old
        assert verifying.run(lambda: read_access_token(token)) is not None


def test_100_forged_key_ids_cost_one_query_and_no_memory(django_assert_num_queries: Any) -> None:
    keys.current_key()
    known = dict(keys._verifying)
    with django_assert_num_queries(1):
        assert [keys.verification_key(f"invented-key-id-{number:04}") for number in range(100)] == [None] * 100
    assert keys._verifying == known


@pytest.mark.django_db(transaction=True)
def test_a_key_that_another_process_adds_is_found_amid_forged_ones() -> None:
    keys.current_key()
    numbers = count()

    def finds(kid: str) -> bool:
        assert keys.verification_key(f"invented-key-id-{next(numbers):04}") is None
        return keys.verification_key(kid) is not None

    assert not finds("invented-key-id-x")
    new = Process().run(lambda: keys.rotate_keys(actor=SYSTEM)).kid
    began = time.monotonic()
    wait_until(lambda: finds(new), seconds=10)
    assert time.monotonic() - began < 5 * keys.UNKNOWN_SECONDS


@pytest.mark.django_db(transaction=True)
def test_concurrent_requests_wait_for_one_reading_of_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    keys.current_key()
    new = Process().run(lambda: keys.rotate_keys(actor=SYSTEM)).kid
    readings, load_keys = [], keys.load_keys

    def load() -> None:
        readings.append(1)
        time.sleep(0.2)
        load_keys()

    monkeypatch.setattr(keys, "load_keys", load)
    assert None not in race([lambda: keys.verification_key(new)] * 8)
    assert readings == [1]


def test_after_a_failure_the_keys_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is unknown only if the database says so."""
    kid = keys.current_key().kid
    keys.forget()
    with monkeypatch.context() as patch:
        patch.setattr(keys, "load_keys", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            keys.verification_key(kid)
    assert keys.verification_key(kid) is not None


def test_a_token_of_a_retired_key_is_still_read() -> None:
    token = issue()
    SigningKey.objects.update(retires_at=clock.now() - timedelta(days=1))
    keys.forget()
    assert read_access_token(token) is not None


def test_a_process_that_signs_needs_no_query_to_verify(django_assert_num_queries: Any) -> None:
    """Even if it has just looked for an invented key."""
    assert keys.verification_key("invented-key-id-1") is None
    kid = keys.current_key().kid
    with django_assert_num_queries(0):
        assert keys.verification_key(kid) is not None


@pytest.mark.django_db(transaction=True)
def test_a_key_whose_transaction_was_rolled_back_never_signs() -> None:
    with transaction.atomic():
        assert keys.current_key() is keys.current_key()
        transaction.set_rollback(True)
    assert SigningKey.objects.filter(kid=keys.current_key().kid).exists()


@pytest.mark.django_db(transaction=True)
def test_the_current_key_is_read_once_a_minute(django_assert_num_queries: Any) -> None:
    with time_machine.travel(clock.now(), tick=False) as traveller:
        for _ in range(2):
            keys.current_key()
        with django_assert_num_queries(0):
            keys.current_key()
        traveller.shift(keys.REREAD_AFTER)
        with django_assert_num_queries(1):
            keys.current_key()
