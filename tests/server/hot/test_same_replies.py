"""The event loop reads requests and sends replies as Django does. What is between them is the same code (`inquire`)."""

from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from urllib.parse import quote

import jwt
import orjson
import pytest

from api.v1.schemas.tokens import MAX_BATCH, MAX_CONTEXT_BYTES
from approvals.models import Approval
from audit.events import Event
from consent.models import Consent
from core import clock
from core.canonical import canonical_json
from core.ids import ACCEPTABLE_REQUEST_ID
from developers.acting import as_developer
from limits.models import Reservation
from policies.services import create_policy
from tests.log import log_entries, log_entry, personal_data
from tests.samples import sample
from tests.server.hot.both import Both, Sent, ask_django
from tests.server.hot.requests import (
    FORM,
    FORWARD,
    HEALTH,
    INTROSPECT,
    UNKNOWN,
    VERIFY,
    Scene,
    basic,
    basic_of,
    batch,
    forward,
    get,
    introspect,
    post,
    question,
    verify,
)
from tests.world import ANONYMOUS

pytestmark = pytest.mark.on_sqlite

PROXY, OTHER = "127.0.0.2", "127.0.0.3"
# Each entry has its own id, and its own salt in the digest of its personal data.
OWN = ("id", "personal")
GOOD = orjson.dumps(question(UNKNOWN))
DETAILS = {"context": {"ip": "192.0.2.9", "amount": 3, "text": "na\u00efve"}}


def add_policy(scene: Scene, kind: str, **config: Any) -> None:
    actor = as_developer(ANONYMOUS, scene.developer)
    rules = [{"type": kind, "config": config}]
    create_policy(actor=actor, organization=scene.developer.organization, name="Rules", rules=rules)


def ask(both: Both, sent: Sent) -> Any:
    """Ask, and compare the entries that both have left in the log."""
    before = set(entry_ids())
    answer = both.ask(sent)
    of_django, of_front = [entry_id for entry_id in entry_ids() if entry_id not in before]
    assert content(of_front) == content(of_django)
    return answer


def entry_ids() -> list[str]:
    """Return the ids of all decisions in the log, in the order in which they were made."""
    found = log_entries(event__in=[Event.TOKEN_VERIFY, Event.TOKEN_INTROSPECTED])
    return sorted(found.values_list("pk", flat=True))


def content(entry_id: str) -> dict[str, Any]:
    """Return all that an entry says and who can read it, without what is its own."""
    entry = log_entry(entry_id)
    kept = {name: value for name, value in entry.content.items() if name not in OWN}
    return {**kept, "personalData": personal_data(entry_id), "readers": set(entry.organization_ids)}


def test_decisions_and_their_entries(scene: Scene, both: Both) -> None:
    own, foreign = basic(scene.own), basic(scene.foreign)
    for caller in (own, ""):
        assert ask(both, verify(scene.token, caller=caller, action="email:read", **DETAILS)).json["allowed"] is True
        assert ask(both, forward(scene.token, caller=caller)).status == 200
        assert ask(both, verify(scene.token, "email:send", caller=caller)).json["reason"] == "insufficient_scope"
        assert ask(both, forward(scene.token, "?scopes=email:send", caller=caller)).status == 403
    assert ask(both, verify(scene.token, caller=foreign)).json["reason"] == "wrong_audience"
    assert ask(both, forward(scene.token, caller=foreign)).status == 401
    assert ask(both, introspect(scene.token, own)).json["active"] is True
    assert ask(both, introspect(scene.token, foreign)).json == {"active": False}
    for resource in ("HTTPS://OWN.example:443/", "https://foreign.example", "a name"):
        ask(both, verify(scene.token, resource=resource))
        ask(both, forward(scene.token, f"?scopes=email:read&resource={quote(resource, safe='')}"))
    add_policy(scene, "rate_limit", maxRequests=1, windowSeconds=3600, scope="global")
    assert both.front.ask(verify(scene.token, caller=own))[0].json["allowed"] is True
    wait = str(ask(both, verify(scene.token, caller=own)).json["retryAfterSeconds"])
    assert ask(both, forward(scene.token, caller=own)).header("Retry-After") == wait


def test_a_denial_by_the_user_is_said_both_ways(scene: Scene, both: Both) -> None:
    """In the answers, in those of a batch, to proxies, and in the log."""
    Consent.objects.filter(pk=scene.grant.consent.pk).update(terms={"modes": {"email:read": "ask"}})
    caller = basic(scene.own)
    for status in ("pending", "denied"):
        verified = ask(both, verify(scene.token, caller=caller)).json
        assert (verified["reason"], verified["approvalStatus"]) == ("approval_required", status)
        assert log_entry(entry_ids()[-1]).content["metadata"]["approvalStatus"] == status
        (decision,) = both.ask(batch(question(scene.token), caller=caller)).json["decisions"]
        assert decision["approvalStatus"] == status
        forwarded = ask(both, forward(scene.token, caller=caller))
        assert (forwarded.status, forwarded.header("X-AgentGate-Approval-Status")) == (403, status)
        assert forwarded.json["title"].startswith("The user denied" if status == "denied" else "The user must approve")
        Approval.objects.update(status=Approval.Status.DENIED, expires_at=clock.now() + timedelta(hours=1))


def test_batches(scene: Scene, both: Both) -> None:
    questions = [question(scene.token, **DETAILS), question(UNKNOWN), question(scene.token, "email:send")]
    answer = both.ask(batch(*questions, caller=basic(scene.own)))
    reasons = [decision.get("reason") for decision in answer.json["decisions"]]
    assert reasons == [None, "invalid_token", "insufficient_scope"]
    answer = both.ask(batch(*[question(scene.token)] * MAX_BATCH, caller=basic(scene.own)))
    assert len(answer.json["decisions"]) == MAX_BATCH


def test_an_unknown_token_leaves_no_entry(scene: Scene, both: Both) -> None:
    for caller in ("", basic(scene.own)):
        assert both.ask(verify(UNKNOWN, caller=caller)).json["reason"] == "invalid_token"
        assert both.ask(forward(UNKNOWN, caller=caller)).status == 401
    assert both.ask(introspect(UNKNOWN, basic(scene.own))).json == {"active": False}
    assert entry_ids() == []


def test_repeated_requests_that_reserve(scene: Scene, both: Both) -> None:
    """Both find what the first has reserved, and what was resolved meanwhile."""
    asked = {"reserve": True, "context": {"amount": {"value": "1", "currency": "EUR"}}}
    one = verify(scene.token, **asked).having(**{"Idempotency-Key": "one"})
    several = batch(question(scene.token, **asked), question(scene.token)).having(**{"Idempotency-Key": "one"})
    assert both.ask(one).json["allowed"]
    assert len({each for ids in both.log_ids for each in ids}) == 1
    assert [each["allowed"] for each in both.ask(several).json["decisions"]] == [True, True]
    assert Reservation.objects.count() == 2
    changed = verify(scene.token, **{**asked, "expiresInSeconds": 60}).having(**{"Idempotency-Key": "one"})
    assert (both.ask(changed).status, both.ask(changed).json["code"]) == (409, "idempotency_key_reused")
    Reservation.objects.update(status="voided")
    assert (both.ask(several).status, both.ask(several).json["code"]) == (409, "reservation_resolved")


def test_receipts(both: Both, scene: Scene) -> None:
    more = {"action": "read", "resource": "inbox", "context": {"ip": "2001:DB8::1", "x": 1.5}}
    asked = [question(scene.token, receipt=True), question(UNKNOWN, receipt=True), question(scene.token)]
    for sent, number in (
        (verify(scene.token, receipt=True, **more), 1),
        (batch(*asked), 1),
        (batch(*asked[:1] * 10), 10),
    ):
        of_django, (of_front, who) = ask_django(sent), both.front.ask(sent)
        assert payloads(of_front.json) == payloads(of_django.json)
        assert (len(payloads(of_front.json)), who) == (number, "event loop")


def payloads(body: Any) -> list[Any]:
    """Return what the receipts of an answer say, without the id of the log entry."""
    decisions = body.get("decisions", [body])
    found = [jwt.decode(one["receipt"], options={"verify_signature": False}) for one in decisions if "receipt" in one]
    assert [one.pop("auditId") for one in found] == [one["auditId"] for one in decisions if "receipt" in one]
    return found


def test_headers_that_change_nothing(scene: Scene, both: Both, subtests: Any) -> None:
    usual = [
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": "Application/JSON"},
        {"Accept": "text/html;q=0.9"},
        {"Accept-Language": "de-CH,de;q=0.9", "Cookie": "django_language=de"},
        {"Cookie": "sessionid=a; csrftoken=b; messages=c"},
        {"Cookie": f"sessionid={'abcd' * 8}; csrftoken=def; other=1"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"If-None-Match": "*", "If-Modified-Since": "Mon, 23 Mar 2026 12:00:00 GMT", "Range": "bytes=0-1"},
        {"X-Api-Key": "ag_x", "Idempotency-Key": "key-12345678", "X-Resource-Server": "Basic !"},
        {"Accept-Encoding": "gzip, br"},
        {"X-Http-Method-Override": "DELETE"},
        {"Host": "LOCALHOST:1"},
        {"Host": "127.0.0.1:8000"},
        {"Host": "[::1]:8000", "X-Forwarded-Host": "evil.example"},
    ]
    for headers in usual:
        with subtests.test(headers):
            for sent in (verify(scene.token), get(HEALTH)):
                assert both.ask(sent.having(**headers)).status == 200
            forwarded = forward(scene.token).having(**{**headers, "X-Resource-Server": basic(scene.own)})
            assert both.ask(forwarded).status == 200
            if "Content-Type" not in headers:
                assert both.ask(introspect(scene.token, basic(scene.own)).having(**headers)).json["active"] is True


def test_other_spellings_of_a_credential(scene: Scene, both: Both) -> None:
    encoded = basic(scene.own).partition(" ")[2]
    escaped = basic_of(f"{scene.own.server.id.replace('_', '%5F')}:{scene.own.secret}")
    for caller in (f"bASIC {encoded}", f"Basic   {encoded}", escaped):
        assert both.ask(verify(scene.token, caller=caller)).json["allowed"] is True


def test_usual_bodies(both: Both, subtests: Any) -> None:
    largest = {"text": ""}
    largest["text"] = "x" * (MAX_CONTEXT_BYTES - len(canonical_json(largest)))
    bodies = [
        b" \n" + GOOD + b"\r\n",
        GOOD.replace(b"not-a-token", rb"\u006eot\ud83d\ude00"),
        orjson.dumps(question(UNKNOWN, action="na\u00efve \U0001f600")),
        GOOD.replace(b"}", b', "context": {"deep": [[[1.5, -0.0, null, true]]]}}'),
        orjson.dumps(question(UNKNOWN, context=largest)),
        orjson.dumps(question(UNKNOWN, *(f"many:b{number}" for number in range(100)))),
    ]
    for body in bodies:
        with subtests.test(body[:80]):
            assert both.ask(post(f"{VERIFY}?a=%20&a=b&scopes=x", body)).status == 200


def test_forwarded_requests(scene: Scene, both: Both, subtests: Any) -> None:
    """The scopes come from the query or the header, and other parameters are the caller's."""
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        sent = forward(scene.token, "/inbox/7?scopes=other&a=b", method=method).having(X_Required_Scopes="email:read")
        assert both.ask(sent).status == 200
        assert both.ask(sent.having(Authorization="Bearer no")).status == 401
    sent = forward(scene.token, "").having(X_Required_Scopes="email:read,, email:read")
    metadata = "&resource_metadata=https://own.example/%22%C3%A9%0A"
    cases = {
        "the header alone": (200, sent),
        "an empty query": (200, forward(scene.token, "?scopes=email:read&action=&resource=&x=1&x=2")),
        "both": (403, sent.having(X_Required_Scopes="email:send")),
        "metadata": (401, forward("no", f"?scopes=email:read{metadata}")),
        "another scheme": (401, forward("no").having(Authorization=basic(scene.own))),
        "two words": (401, forward("no").having(Authorization="Bearer a b")),
        "no token": (401, Sent("GET", f"{FORWARD}?scopes=email:read", get("").headers)),
        "a body": (200, Sent("POST", f"{FORWARD}?scopes=email:read", forward(scene.token).headers, b'{"a": 1')),
    }
    for name, (status, case) in cases.items():
        with subtests.test(name):
            assert both.ask(case).status == status


def test_introspected_forms(scene: Scene, both: Both) -> None:
    token = scene.token.encode()
    for form in (b"token=" + token + b"&token_type_hint=x&a=", b"&token=" + token, b"a=%C3%A9&token=" + token):
        answer = both.ask(post(f"{INTROSPECT}?a=b", form, FORM, Authorization=basic(scene.own)))
        assert answer.json["active"] is True


def test_the_address_of_the_caller_in_the_log(
    scene: Scene, start: Callable[[], Both], settings: Any, subtests: Any
) -> None:
    settings.TRUSTED_PROXIES = (ip_network(f"{PROXY}/32"),)
    both = start()
    cases = [
        (OTHER, "", OTHER),
        (OTHER, "203.0.113.9", OTHER),
        (PROXY, "", PROXY),
        (PROXY, "203.0.113.9", "203.0.113.9"),
        (PROXY, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (PROXY, f"203.0.113.9, {PROXY}", "203.0.113.9"),
        (PROXY, "203.0.113.9, somebody", PROXY),
        (PROXY, "::ffff:203.0.113.9", "203.0.113.9"),
        (PROXY, "2001:DB8::0:1", "2001:db8::1"),
        (PROXY, "fe80::1%eth0", "fe80::1"),
        (PROXY, "203.0.113.9:443", PROXY),
    ]
    for peer, forwarded_for, address in cases:
        headers = {"X_Forwarded_For": forwarded_for} if forwarded_for else {}
        with subtests.test(f"{peer} {forwarded_for}"):
            assert both.ask(verify(scene.token).having(**headers).at(peer)).status == 200
            assert [personal_data(ids[0])["ip"] for ids in both.log_ids] == [address, address]
            assert both.ask(forward(scene.token).having(**headers).at(peer)).status == 200
            assert [personal_data(ids[0])["context"] for ids in both.log_ids] == [{"ip": address}, {"ip": address}]


def test_the_user_agent_in_the_log(scene: Scene, both: Both) -> None:
    for name in ("", "x" * 400, "caf\xe9 \xad", "tab\there", "{}\"'<b>"):
        assert both.ask(verify(scene.token).having(User_Agent=name)).status == 200
        logged = [personal_data(ids[0])["userAgent"] for ids in both.log_ids]
        assert logged[0] == logged[1]
        assert (logged[0] is None) == (name == "")


def test_request_ids(scene: Scene, both: Both, subtests: Any) -> None:
    """A well-formed one is kept. Any other one is replaced, in the body of a refusal too."""
    own = (verify(scene.token), forward(UNKNOWN), introspect(UNKNOWN, basic(scene.own)), get(HEALTH))
    for offered in ("trace-1.2_3", "a" * 64):
        for sent in own:
            with subtests.test(f"{sent.target} {offered}"):
                assert both.ask(sent.having(X_Request_Id=offered)).header("X-Request-Id") == offered
    for offered in ("", "a" * 65, "na\xefve-id-1"):
        for sent in own:
            with subtests.test(f"{sent.target} {offered}"):
                assert both.ask(sent.having(X_Request_Id=offered)).header("X-Request-Id") == "req_*"
                answer, _ = both.front.ask(sent.having(X_Request_Id=offered))
                assert ACCEPTABLE_REQUEST_ID.fullmatch(answer.header("X-Request-Id"))
                if answer.status == 401:
                    assert answer.json["requestId"] == answer.header("X-Request-Id")


def test_https_behind_a_trusted_proxy(scene: Scene, start: Callable[[], Both], settings: Any) -> None:
    settings.TRUSTED_PROXIES = (ip_network(f"{PROXY}/32"),)
    settings.IS_HTTPS = settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_HSTS_SECONDS, settings.SECURE_HSTS_PRELOAD = 63_072_000, True
    both = start()
    for sent in (verify(scene.token), introspect(UNKNOWN, basic(scene.own)), forward(scene.token), get(HEALTH)):
        secure = both.ask(sent.having(X_Forwarded_Proto="https").at(PROXY))
        assert (secure.status, secure.header("Strict-Transport-Security")) == (200, "max-age=63072000; preload")


def test_the_start_counts_no_request(scene: Scene, start: Callable[[], Both]) -> None:
    before = sample("agentgate_http_seconds_count", route="health", status="2xx")
    both = start()
    assert sample("agentgate_http_seconds_count", route="health", status="2xx") == before
    both.ask(get(HEALTH))
    assert sample("agentgate_http_seconds_count", route="health", status="2xx") == before + 1
