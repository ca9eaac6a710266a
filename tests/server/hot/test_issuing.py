"""Threads of the front issue tokens as Django's views do."""

import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from django.db import OperationalError, connection

from agents import services as agent_services
from api.v1.issuing import MAX_BODY
from consent.granting import approve_consent
from core import clock, timeouts
from core.ids import current_id
from core.messages import Reply, Request, ThreadEndpoint, ThreadWork
from core.rotation import add_secret
from oauth.parameters import MAX_FORM
from server.front import bounds, issuing
from tests.constants import CALLBACK
from tests.log import log_entries, log_entry
from tests.samples import sample
from tests.server.hot.both import DJANGO, THREAD, Both, Sent
from tests.server.hot.requests import FORM, HEALTH, Scene, basic_of, get, post
from tests.waiting import wait_until
from tests.world import ANONYMOUS, as_user, ask
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens

pytestmark = pytest.mark.on_sqlite

EXCHANGE, REFRESH, TOKEN = "/api/v1/tokens/exchange", "/api/v1/tokens/refresh", "/oauth/token"
FLOODER, OTHER = "127.0.0.2", "127.0.0.3"


@dataclass
class Client:
    """An agent with its secret, and a user who lets it have codes and refresh tokens."""

    scene: Scene
    secret: str

    @property
    def basic(self) -> str:
        return basic_of(f"{self.scene.grant.agent.client_id}:{self.secret}")

    def code(self) -> str:
        grant = self.scene.grant
        consent = ask(grant.agent, scopes=["email:read"])
        signed_in = clock.now()
        return approve_consent(actor=as_user(grant.user), consent=consent, user=grant.user, signed_in_at=signed_in).code

    def refresh_token(self) -> str:
        issued = exchange_code(actor=ANONYMOUS, agent=self.scene.grant.agent, code=self.code())
        assert isinstance(issued, IssuedTokens)
        return str(issued.refresh_token)

    def exchange(self, code: str, **fields: Any) -> Sent:
        return send(EXCHANGE, {"code": code, **fields}).having(Authorization=self.basic)

    def refresh(self, token: str, **fields: Any) -> Sent:
        return send(REFRESH, {"refreshToken": token, **fields}).having(Authorization=self.basic)

    def form(self, **fields: str) -> Sent:
        return post(TOKEN, urlencode(fields).encode(), FORM, Authorization=self.basic)

    def by_code(self, code: str, **fields: str) -> Sent:
        return self.form(grant_type="authorization_code", code=code, **fields)

    def by_refresh_token(self, token: str, **fields: str) -> Sent:
        return self.form(grant_type="refresh_token", refresh_token=token, **fields)


def send(path: str, body: dict[str, Any]) -> Sent:
    return post(path, orjson.dumps(body))


@pytest.fixture
def client(scene: Scene) -> Client:
    return Client(scene, add_secret(scene.grant.agent.secrets, prefix="ags", now=clock.now()))


def in_body(sent: Sent, client: Client, **fields: Any) -> Sent:
    """Return the request with the credential in its body instead of the header."""
    credential = {"clientId": client.scene.grant.agent.client_id, "clientSecret": client.secret}
    body = orjson.loads(sent.body) | credential | fields
    headers = {name: value for name, value in sent.headers.items() if name != "Authorization"}
    return Sent(sent.method, sent.target, headers, orjson.dumps(body))


def newest_entries() -> list[dict[str, Any]]:
    """Return what the last two entries say, without what is their own."""
    own = ("id", "personal", "consentId", "metadata")
    ids = sorted(log_entries().values_list("pk", flat=True))[-2:]
    return [{name: value for name, value in log_entry(each).content.items() if name not in own} for each in ids]


def test_exchanges(client: Client, both: Both, subtests: Any) -> None:
    spellings: list[Callable[[str], Sent]] = [
        client.exchange,
        partial(client.exchange, codeVerifier="", redirectUri=CALLBACK),
        lambda code: in_body(client.exchange(code), client),
        lambda code: in_body(client.exchange(code), client).having(User_Agent="caf\xe9 \xad"),
        client.by_code,
        partial(client.by_code, redirect_uri=CALLBACK, resource="", state="x"),
    ]
    for make in spellings:
        first, second = client.code(), client.code()
        with subtests.test(str(make(first))):
            answer = both.ask_each(make(first), make(second), by=THREAD)
            assert answer.status == 200
            assert answer.header("Cache-Control") == "no-store"
            assert answer.header("X-Request-Id") == "trace-12345"
            assert "agr_*" in answer.body.decode()
            of_django, of_front = newest_entries()[-2:]
            assert of_django["event"] == "token.issued"
            assert of_front == of_django


def test_refreshes(client: Client, both: Both, subtests: Any) -> None:
    for make in (client.refresh, client.by_refresh_token, lambda token: in_body(client.refresh(token), client)):
        first, second = client.refresh_token(), client.refresh_token()
        with subtests.test(str(make(first))):
            answer = both.ask_each(make(first), make(second), by=THREAD)
            assert answer.status == 200
            of_django, of_front = newest_entries()
            assert of_django["event"] == "token.refreshed"
            assert of_front == of_django


def test_client_credentials(client: Client, both: Both) -> None:
    answer = both.ask(client.form(grant_type="client_credentials", scope="email:read"), by=THREAD)
    assert (answer.status, answer.json["scope"]) == (200, "email:read")


def test_refusals(client: Client, both: Both, subtests: Any) -> None:
    agent, code = client.scene.grant.agent, client.code()
    used = client.scene.grant.code
    wrong = basic_of(f"{agent.client_id}:wrong")
    cases = {
        "an unknown code": (400, client.exchange("agcode_unknown")),
        "a used code": (400, client.exchange(used)),
        "another redirect URI": (400, client.exchange(code, redirectUri="https://other.example")),
        "an unknown refresh token": (400, client.refresh("agr_unknown")),
        "a wrong secret": (401, client.exchange(code).having(Authorization=wrong)),
        "a wrong secret in the body": (401, in_body(client.exchange(code), client, clientSecret="wrong")),
        "an unreadable credential": (401, client.exchange(code).having(Authorization="Basic !")),
        "another scheme": (401, client.refresh("x").having(Authorization="Bearer x")),
        "no credential": (401, send(EXCHANGE, {"code": code})),
        "an id without a secret": (401, send(REFRESH, {"refreshToken": "x", "clientId": agent.client_id})),
        "both credentials": (400, client.exchange(code, clientSecret=client.secret)),
        "OAuth: an unknown code": (400, client.by_code("agcode_unknown")),
        "OAuth: an unknown refresh token": (400, client.by_refresh_token("agr_unknown")),
        "OAuth: a wrong secret": (401, client.by_code(code).having(Authorization=wrong)),
        "OAuth: no credential": (401, post(TOKEN, b"grant_type=refresh_token&refresh_token=x", FORM)),
        "OAuth: both credentials": (400, client.by_code(code, client_secret=client.secret)),
        "OAuth: no code": (400, client.form(grant_type="authorization_code")),
        "OAuth: a wider scope": (400, client.form(grant_type="client_credentials", scope="admin:all")),
        "OAuth: an unknown grant": (400, client.form(grant_type="password")),
    }
    for name, (status, sent) in cases.items():
        with subtests.test(name):
            answer = both.ask(sent, by=THREAD)
            assert answer.status == status
            may_be_basic = sent.target != TOKEN or "Authorization" in sent.headers
            assert bool(answer.header("WWW-Authenticate")) == (status == 401 and may_be_basic)


def test_what_is_left_to_django(client: Client, both: Both, subtests: Any) -> None:
    good = client.exchange("agcode_unknown")
    form = client.by_code("agcode_unknown")
    cases = {
        "a repeatable request": (400, good.having(Idempotency_Key="k")),
        "a cookie": (400, good.having(Cookie="theme=dark")),
        "another method": (405, Sent("GET", EXCHANGE, good.headers)),
        "OPTIONS": (204, Sent("OPTIONS", REFRESH, good.headers)),
        "another media type": (415, post(EXCHANGE, good.body, "text/plain")),
        "no JSON": (400, post(EXCHANGE, b"{")),
        "no body": (400, post(EXCHANGE, b"")),
        "an unknown field": (400, client.exchange("x", more=1)),
        "no code": (400, send(EXCHANGE, {})),
        "a number": (400, send(REFRESH, {"refreshToken": 7})),
        "a long body": (400, client.exchange("x" * MAX_BODY)),
        "another host": (400, good.having(Host="other.example")),
        "OAuth: a cookie": (400, form.having(Cookie="theme=dark")),
        "OAuth: JSON": (400, post(TOKEN, b"{}", Authorization=client.basic)),
        "OAuth: a repeated parameter": (400, post(TOKEN, form.body + b"&code=x", FORM)),
        "OAuth: an assertion": (400, client.form(grant_type="client_credentials", client_assertion="a.b.c")),
        "OAuth: a long form": (400, client.by_code("x" * MAX_FORM)),
        "OAuth: another method": (405, Sent("GET", TOKEN, form.headers)),
        "OAuth: OPTIONS": (204, Sent("OPTIONS", TOKEN, form.headers)),
    }
    for name, (status, sent) in cases.items():
        with subtests.test(name):
            assert both.ask(sent, by=DJANGO).status == status


def test_an_answer_that_may_be_repeated(client: Client, both: Both) -> None:
    """Django's view gives it for the JSON API, and a thread for OAuth."""
    for make, by in ((client.refresh, DJANGO), (client.by_refresh_token, THREAD)):
        sent = make(client.refresh_token()).having(Idempotency_Key=f"key-{by}")
        answers = [both.front.ask(sent) for _ in range(2)]
        assert [who for _, who in answers] == [by, by]
        assert answers[0][0].status == 200
        assert answers[0][0].body == answers[1][0].body


def test_replays_end_what_was_issued(client: Client, both: Both) -> None:
    code = client.code()
    tokens, _ = both.front.ask(client.exchange(code))
    assert both.front.ask(client.exchange(code))[0].json["code"] == "invalid_grant"
    assert both.front.ask(client.refresh(tokens.json["refreshToken"]))[0].json["code"] == "invalid_grant"


def test_a_caller_that_guesses_is_throttled(client: Client, start: Callable[[], Both], settings: Any) -> None:
    settings.THROTTLE_CLIENT_AUTH = "3/minute"
    both = start()
    wrong = client.refresh("x").having(Authorization=basic_of("ag_unknown:wrong"))
    answers = [both.front.ask(wrong)[0] for _ in range(5)]
    assert [answer.status for answer in answers] == [401, 401, 401, 429, 429]
    assert answers[-1].header("Retry-After")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(OperationalError("down"), 503, "unavailable"), (RuntimeError("a bug"), 500, "internal_error")],
)
def test_errors_are_answered_and_logged(
    client: Client, both: Both, monkeypatch: Any, caplog: Any, error: Exception, status: int, code: str
) -> None:
    def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(agent_services, "find_client_secret", fail)
    answer = both.ask(client.refresh("x"), by=THREAD)
    assert (answer.status, answer.json["code"]) == (status, code)
    (record,) = [one for one in caplog.records if one.name == issuing.__name__]
    assert record.getMessage() == f"POST {REFRESH} failed"
    assert (record.request_id, record.exc_info[1]) == ("trace-12345", error)
    oauth = both.ask(client.by_refresh_token("x"), by=THREAD)
    assert oauth.json["error"] == ("temporarily_unavailable" if status == 503 else "server_error")


def test_what_the_thread_logs_has_the_request_id(client: Client, both: Both, monkeypatch: Any) -> None:
    ids: list[str] = []
    monkeypatch.setattr(agent_services, "find_client_secret", lambda *_: ids.append(current_id.get()))
    both.ask(client.refresh("x"), by=THREAD)
    assert ids == ["trace-12345"] * 2


def test_requests_are_counted_and_logged_as_by_the_middleware(
    client: Client, both: Both, settings: Any, caplog: Any
) -> None:
    settings.LOG_REQUESTS = True
    caplog.set_level(logging.INFO, "agentgate.requests")
    before = sample("agentgate_http_seconds_count", route="token", status="4xx")
    both.ask(client.refresh("x"), by=THREAD)
    assert sample("agentgate_http_seconds_count", route="token", status="4xx") == before + 2
    of_django, of_front = [one for one in caplog.records if one.name == "agentgate.requests"]
    assert of_front.fields.pop("milliseconds") > 0
    assert of_django.fields.pop("milliseconds") > 0
    assert of_front.fields == of_django.fields == {"method": "POST", "kind": "token", "route": REFRESH, "status": 400}
    assert of_front.request_id == "trace-12345"


ALL = bounds.ISSUING_THREADS[connection.vendor]
# What one address or agent has of them at most, and what a second one then gets.
EACH, SECOND = ALL // 2, ALL // 4


class TestTurns:
    """Threads are held by requests that wait until the test lets them go on."""

    @pytest.fixture
    def held(self, monkeypatch: pytest.MonkeyPatch) -> Iterator["Held"]:
        held = Held(FLOODER, OTHER)
        endpoint = ThreadEndpoint(held.read, issuing.ENDPOINTS[EXCHANGE].fail, ())
        monkeypatch.setitem(issuing.ENDPOINTS, EXCHANGE, endpoint)
        yield held
        held.let_go_on(FLOODER, OTHER)

    def test_a_flood_is_refused_and_leaves_turns_for_others(self, held: "Held", both: Both) -> None:
        flood = [both.front.connect(send(EXCHANGE, {}).at(FLOODER)) for _ in range(bounds.MAX_QUEUED)]
        try:
            assert flood[-1].recv(12) == b"HTTP/1.1 503"
            others = [both.front.connect(send(EXCHANGE, {}).at(OTHER)) for _ in range(EACH + 1)]
            wait_until(lambda: both.front.issuing.waiting == bounds.MAX_QUEUED // 2 + EACH + 1 - SECOND)
            held.let_go_on(OTHER)
            assert [other.recv(12) for other in others] == [b"HTTP/1.1 200"] * (EACH + 1)
            assert held.answered == [OTHER] * (EACH + 1)
            held.let_go_on(FLOODER)
            statuses = [client.recv(12)[-3:] for client in flood[:-1]]
            accepted = bounds.MAX_QUEUED // 2 + EACH
            assert statuses == [b"200"] * accepted + [b"503"] * (bounds.MAX_QUEUED - 1 - accepted)
        finally:
            for client in (*flood, *others):
                client.close()

    def test_two_addresses_leave_a_thread_for_a_third(self, held: "Held", both: Both) -> None:
        flood = [both.front.connect(send(EXCHANGE, {}).at(peer)) for peer in [FLOODER] * ALL + [OTHER] * ALL]
        wait_until(lambda: both.front.issuing.waiting == 2 * ALL - EACH - SECOND)
        assert both.front.ask(send(EXCHANGE, {}))[0].status == 200
        assert held.answered == ["127.0.0.1"]
        held.let_go_on(FLOODER, OTHER)
        for client in flood:
            assert client.recv(12) == b"HTTP/1.1 200"
            client.close()

    def test_an_agent_leaves_threads_to_others_however_many_addresses_it_has(
        self, client: Client, both: Both, monkeypatch: pytest.MonkeyPatch, subtests: Any
    ) -> None:
        agent, other = client.scene.grant.agent.client_id, basic_of("ag_other:x")
        form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": agent}
        sent = [
            client.exchange("x"),
            client.refresh("x"),
            client.by_code("x"),
            post(TOKEN, urlencode(form).encode(), FORM),
        ]
        sent += [in_body(one, client) for one in sent[:2]]
        for one in sent:
            with subtests.test(str(one)), monkeypatch.context() as patch:
                held, path = Held(agent), one.target
                patch.setitem(issuing.ENDPOINTS, path, held.reading_as(issuing.ENDPOINTS[path]))
                flood = [both.front.connect(one.at(f"127.0.1.{number}")) for number in range(1, ALL + 1)]
                wait_until(lambda: both.front.issuing.waiting == ALL - EACH)
                assert both.front.ask(one.having(Authorization=other))[0].status == 200
                assert held.answered == ["ag_other"]
                held.let_go_on(agent)
                for held_one in flood:
                    assert held_one.recv(12) == b"HTTP/1.1 200"
                    held_one.close()

    def test_a_request_that_waits_for_too_long_is_refused(
        self, held: "Held", both: Both, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        holding = [both.front.connect(send(EXCHANGE, {}).at(FLOODER)) for _ in range(EACH)]
        late = [both.front.connect(send(EXCHANGE, {}).at(FLOODER)) for _ in range(2)]
        wait_until(lambda: both.front.issuing.waiting == 2)
        both.front.run(both.front.tick())
        assert both.front.issuing.waiting == 2
        monkeypatch.setattr(timeouts, "THREAD_SECONDS", 0.0)
        both.front.run(both.front.tick())
        for client in late:
            answer = client.recv(4096)
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"Retry-After: 1" in answer
            assert b'"code":"unavailable"' in answer
        assert both.front.issuing.waiting == 0
        held.let_go_on(FLOODER)
        for client in holding:
            assert client.recv(12) == b"HTTP/1.1 200"
        for client in (*holding, *late):
            client.close()

    def test_what_a_client_no_longer_waits_for_is_not_done(self, held: "Held", both: Both) -> None:
        waiting = [both.front.connect(send(EXCHANGE, {}).at(FLOODER)) for _ in range(EACH)]
        gone = both.front.connect(send(EXCHANGE, {}).at(FLOODER))
        wait_until(lambda: both.front.issuing.waiting == 1)
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing it resets it
        gone.close()
        both.front.ask(get(HEALTH))  # the event loop has noticed before that
        held.let_go_on(FLOODER)
        for client in waiting:
            assert client.recv(12) == b"HTTP/1.1 200"
            client.close()
        assert both.front.ask(send(EXCHANGE, {}))[0].status == 200
        assert held.answered == [*[FLOODER] * EACH, "127.0.0.1"]


class Held:
    """An endpoint at which these wait in their threads. `answered` are those who were answered, in order."""

    def __init__(self, *held: str) -> None:
        self.answered: list[str] = []
        self._may_go_on = {name: threading.Event() for name in held}

    def let_go_on(self, *names: str) -> None:
        for name in names:
            self._may_go_on[name].set()

    def read(self, request: Request, actor: Any) -> ThreadWork:
        """Hold addresses. The requests name no agent."""
        return ThreadWork("", partial(self._work, request.peer))

    def reading_as(self, endpoint: ThreadEndpoint) -> ThreadEndpoint:
        """Return an endpoint that holds those whom `endpoint` finds in the request."""

        def read(request: Request, actor: Any) -> ThreadWork:
            client_id = endpoint.read(request, actor).client_id
            return ThreadWork(client_id, partial(self._work, client_id))

        return endpoint._replace(read=read)

    def _work(self, name: str) -> Reply:
        if name in self._may_go_on:
            self._may_go_on[name].wait(20)
        self.answered.append(name)
        return Reply(200, ())
