"""How many expired rows a second each sweep clears, pauses included, while its table is full of rows to keep."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection
from django.db.models import Model

from accounts.devices import delete_unused_devices
from accounts.models import (
    AddressCode,
    BrowserSession,
    KnownAddress,
    KnownDevice,
    PendingRegistration,
    SessionToken,
)
from accounts.registration import delete_expired_registrations
from accounts.services import delete_expired_browser_sessions, delete_expired_sessions, delete_unused_addresses
from accounts.verification import delete_expired_address_codes
from agents.models import Agent, UsedAssertion
from agents.registration import delete_expired_assertions, delete_unused_registrations
from approvals.services import delete_ended_approvals, expire_pending, expire_unused
from benchmarks.grown.sql import digest, fill, text
from benchmarks.rows import CALLBACK
from consent.codes import delete_expired_codes
from consent.models import Approval, AuthorizationCode, Consent
from consent.services import delete_undecided_consents, expire_grants, expire_requests
from core import clock
from core.idempotency import delete_expired_records
from core.models import IdempotencyRecord
from core.sweeps import sweep
from limits.counters import delete_idle_counters
from limits.models import Counter, Reservation
from limits.reservations import delete_old_reservations, lapse_reservations
from tokens.models import AccessToken, RefreshToken, TokenFamily
from tokens.repeats import delete_old_answers
from tokens.services import delete_expired_access_tokens, delete_expired_families, delete_expired_refresh_tokens

# What expired rows refer to: a family, its agent, user and consent.
REFERRED = """(
    SELECT row_number() OVER (ORDER BY id) - 1 AS n, id AS family, application_id AS agent, user_id AS person,
        consent_id AS consent
    FROM tokens_tokenfamily ORDER BY id LIMIT {count}
) AS referred"""
# Each row expired at a time of its own.
WHEN = "(now() - interval '300 days' + n * interval '1 second')"
LONG_AGO = {"last_seen_at": "(now() - interval '500 days' + n * interval '1 second')"}
UPDATE = "UPDATE {table} SET {changes} WHERE id IN (SELECT id FROM {table} WHERE {condition} ORDER BY id LIMIT {count})"

type Batch = Callable[..., int]
type Make = Callable[[int], None]


def measure(count: int) -> list[dict[str, Any]]:
    """Make `count` rows of every kind that a sweep clears, and clear one kind after the other."""
    found = []
    for name, batch, make in kinds():
        make(count)
        began = time.perf_counter()
        rows = sweep(batch)
        seconds = time.perf_counter() - began
        found.append({"name": name, "rows": rows, "per_second": round(rows / seconds)})
    return found


def kinds() -> Iterator[tuple[str, Batch, Make]]:
    """Yield each kind of row with the function that clears a batch of it, and one that makes such rows."""
    yield from _of_tokens()
    yield from _of_consents()
    yield from _of_approvals()
    yield from _of_reservations()
    yield from _of_accounts()
    yield "idempotency records", delete_expired_records, _rows(IdempotencyRecord, key=digest("key"), expires_at=WHEN)
    yield "assertions", delete_expired_assertions, _rows(UsedAssertion, digest=digest("jti"), expires_at=WHEN)
    idle = {"key": "'idle ' || n", "slot": "0", "counts": "''::bytea", "expires_at": WHEN}
    yield "counters", lambda limit: delete_idle_counters(clock.now(), limit), _rows(Counter, **idle)
    stock = {"client_type": text(Agent.CLIENT_PUBLIC), "authorization_grant_type": "'authorization-code'"}
    stock |= {"registration_source": text(Agent.RegistrationSource.DCR), "client_id": "'stock ' || n"}
    stock |= {"redirect_uris": text(CALLBACK), "created": WHEN, "id": _id("agt"), "name": "'Stock ' || n"}
    yield "unused stock clients", delete_unused_registrations, _rows(Agent, **stock)


def _of_tokens() -> Iterator[tuple[str, Batch, Make]]:
    owner = {"application_id": "agent", "user_id": "person"}
    token = {**owner, "family_id": "family", "expires": WHEN, "created": WHEN}
    access = _rows(AccessToken, id=_id("tok"), scope="''", **token)
    yield "access tokens", delete_expired_access_tokens, access
    refresh = _rows(RefreshToken, id=_id("rft"), token_checksum=digest("old"), **token)
    yield "refresh tokens", delete_expired_refresh_tokens, refresh
    family = {**owner, "consent_id": "consent", "scope": "''", "created_at": WHEN, "expires_at": WHEN}
    yield "token families", delete_expired_families, _rows(TokenFamily, id=_id("fam"), **family)
    answered = "sealed_answer = 'x'::bytea, consumed_at = now() - interval '1 hour'"
    yield "repeatable answers", delete_old_answers, _updated(RefreshToken, answered, "sealed_answer IS NULL")
    code = {**owner, "consent_id": "consent", "expires": WHEN, "created": WHEN, "redirect_uri": "''", "scope": "''"}
    yield "authorization codes", delete_expired_codes, _rows(AuthorizationCode, id=_id("cod"), code=digest("c"), **code)


def _of_consents() -> Iterator[tuple[str, Batch, Make]]:
    asked = {"agent_id": "agent", "requested_scopes": "'[]'", "redirect_uri": text(CALLBACK)}
    asked |= {"created_at": WHEN, "expires_at": WHEN}
    yield "requests to expire", expire_requests, _rows(Consent, id=_id("cns"), **asked)
    yield "undecided requests", delete_undecided_consents, lambda count: None
    due = "expires_at = now() - interval '1 day'"
    yield "grants to expire", expire_grants, _updated(Consent, due, "status = 'approved'")


def _of_approvals() -> Iterator[tuple[str, Batch, Make]]:
    asked = {"consent_id": "consent", "user_id": "person", "agent_id": "agent", "scopes": "'[]'", "created_at": WHEN}
    asked |= {"digest": digest("a"), "target_digest": digest("t")}
    pending = _rows(Approval, id=_id("apr"), **asked, expires_at=WHEN)
    yield "approvals to expire", expire_pending, pending
    yield "ended approvals", delete_ended_approvals, lambda count: None
    # They were approved lately, so they are not deleted yet.
    approved = {"status": "'approved'", "expires_at": "now() - interval '1 day' + n * interval '1 second'"}
    yield "unused approvals", expire_unused, _rows(Approval, id=_id("apr"), **asked, **approved)


def _of_reservations() -> Iterator[tuple[str, Batch, Make]]:
    reserved = {"agent_id": "agent", "user_id": "person", "consent_id": "consent", "audit_id": "''"}
    reserved |= {"created_at": WHEN, "expires_at": WHEN}
    held = _rows(Reservation, id=_id("rsv"), **reserved)
    yield "reservations to lapse", lambda limit: lapse_reservations(clock.now(), limit), held
    resolved = {"id": "('rsv_' || md5('resolved' || n))", "status": "'committed'", "resolved_at": WHEN}
    old = _rows(Reservation, **reserved, **resolved)
    yield "old reservations", lambda limit: delete_old_reservations(clock.now(), limit), old


def _of_accounts() -> Iterator[tuple[str, Batch, Make]]:
    session = {"user_id": "person", "digest": digest("s"), "auth_hash": "''", "created_at": WHEN, "expires_at": WHEN}
    yield "API sessions", delete_expired_sessions, _rows(SessionToken, id=_id("ses"), **session)
    browser = {"session_key": "left(md5('session' || n), 32)", "session_data": "'x'", "expire_date": WHEN}
    yield "browser sessions", delete_expired_browser_sessions, _rows(BrowserSession, **browser)
    address = {"user_id": "person", "digest": digest("old"), "last_seen_at": WHEN}
    yield "known addresses", delete_unused_addresses, _rows(KnownAddress, **address)
    yield "known devices", delete_unused_devices, _rows(KnownDevice, **{**address, **LONG_AGO})
    pending = {"kind": "'user'", "email": "'new' || n || '@example.com'", "password": "'!'", "digest": digest("p")}
    pending |= {"sender": "''", "created_at": WHEN, "expires_at": WHEN}
    yield "pending registrations", delete_expired_registrations, _rows(PendingRegistration, id=_id("reg"), **pending)
    mailed = {"user_id": "person", "email": "'x@example.com'", "digest": digest("m"), "expires_at": WHEN}
    yield "address codes", delete_expired_address_codes, _rows(AddressCode, id=_id("adc"), **mailed)


def _rows(model: type[Model], **columns: str) -> Make:
    return lambda count: fill(model, REFERRED.format(count=count), **columns)


def _updated(model: type[Model], changes: str, condition: str) -> Make:
    def make(count: int) -> None:
        table = model._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute(UPDATE.format(table=table, changes=changes, condition=condition, count=count))

    return make


def _id(prefix: str) -> str:
    return f"('{prefix}_' || md5('old' || n))"
