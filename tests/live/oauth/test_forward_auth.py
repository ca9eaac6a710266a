"""A service behind real proxies, configured as `docs/forward-auth.md` says, protected without a line of code."""

import base64
import re
from collections.abc import Iterator, Sequence

import httpx
import pytest

from api.forwarding import identity_headers
from decisions.requests import Decision
from tests.environment import Servers
from tests.live.gate import SCOPES, TLS, Agent, Developer, Gate, Json, Person, expect
from tests.live.oauth.proxies import PAGE, PROXIES, Recorder, proxied, recorder
from tests.live.server import LiveServer
from tests.servers import free_port

IDENTITY = [name for name, _ in identity_headers(Decision(allowed=True))]
# What services read as the same name: WSGI, PHP and CGI turn every special character into an underscore.
SPELLINGS = ("X-AgentGate-{}", "x-agentgate-{}", "X_AgentGate_{}", "X-AgentGate_{}", "X_AgentGate-{}", "X.AgentGate.{}")
FORGED = [
    (spelling.format(name), f"forged-{number}")
    for name in ("User", "Agent", "Consent", "Decision", "Scopes", "Reason", "Admin")
    for spelling in SPELLINGS
    for number in (1, 2)
]


@pytest.fixture(scope="module", params=PROXIES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def lasting_service() -> Iterator[Recorder]:
    with recorder() as service:
        yield service


@pytest.fixture
def service(lasting_service: Recorder) -> Recorder:
    lasting_service.reset()
    return lasting_service


@pytest.fixture(scope="module")
def developer(server: LiveServer) -> Developer:
    return Gate(server.url).developer()


@pytest.fixture(scope="module")
def resource_server(server: LiveServer, developer: Developer) -> Json:
    identifier = f"https://mail-{developer.id[-8:]}.example/api"
    body = {"name": "Mail", "identifier": identifier, "scopes": list(SCOPES)}
    return expect(201, Gate(server.url).post("/resource-servers", body, **developer.headers))


@pytest.fixture
def agent(gate: Gate, developer: Developer) -> Agent:
    return gate.agent(developer)


@pytest.fixture(scope="module")
def lasting_proxy(
    name: str, server: LiveServer, servers: Servers, lasting_service: Recorder, resource_server: Json
) -> Iterator[str]:
    credential = credential_of(resource_server)
    places = {"gate": server.port, "service": lasting_service.server_port, "credential": credential}
    with proxied(name, servers.folder, **places) as url:
        yield url


@pytest.fixture
def proxy(lasting_proxy: str, service: Recorder) -> str:
    """A proxy between AgentGate and the service; the address of a protected page."""
    return lasting_proxy


@pytest.fixture(scope="module")
def lasting_fake_gate() -> Iterator[Recorder]:
    with recorder() as gate:
        yield gate


@pytest.fixture
def fake_gate(lasting_fake_gate: Recorder) -> Recorder:
    """In AgentGate's place: it answers what the test wants, and shows what it was asked."""
    lasting_fake_gate.reset()
    lasting_fake_gate.answer = (200, {"X-AgentGate-User": "usr_real"})
    return lasting_fake_gate


@pytest.fixture(scope="module")
def lasting_faked(name: str, lasting_fake_gate: Recorder, servers: Servers, lasting_service: Recorder) -> Iterator[str]:
    lasting_fake_gate.reset()
    places = {"gate": lasting_fake_gate.server_port, "service": lasting_service.server_port}
    with proxied(name, servers.folder, **places) as url:
        yield url


@pytest.fixture
def faked(lasting_faked: str, fake_gate: Recorder, service: Recorder) -> str:
    return lasting_faked


def credential_of(resource_server: Json) -> str:
    pair = f"{resource_server['id']}:{resource_server['secret']}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def is_placeholder(value: str) -> bool:
    """Whether an old Caddy (2.6) says so that AgentGate did not set the header. The name is the configuration's own."""
    return re.fullmatch(r"\{http\.reverse_proxy\.header\.X-Agentgate-\w+\}", value) is not None


def ask(
    proxy: str, token: str | None = None, headers: Sequence[tuple[str, str]] = (), body: bytes | None = None
) -> httpx.Response:
    bearer = [("Authorization", f"Bearer {token}")] if token else []
    method = "GET" if body is None else "POST"
    return httpx.request(method, proxy, headers=[*bearer, *headers], content=body, timeout=30, verify=TLS)


def test_a_good_token_passes_and_the_service_learns_who_it_is(
    gate: Gate, agent: Agent, person: Person, proxy: str, service: Recorder
) -> None:
    token = gate.tokens(agent, person)["accessToken"]
    assert ask(proxy, token, FORGED).text == "hello"
    (seen,) = service.seen
    told = {found.lower(): value for found, value in seen.named("agentgate")}
    assert len(told) == len(seen.named("agentgate")) == len(IDENTITY)
    assert told["x-agentgate-user"] == person.id
    assert told["x-agentgate-agent"] == agent.id
    assert told["x-agentgate-consent"].startswith("cns_")
    assert told["x-agentgate-decision"].startswith("log_")
    assert told["x-agentgate-scopes"].split() == list(SCOPES)
    assert seen.named("authorization") == [], "the service never sees the token"


def test_a_body_passes_whole_and_agentgate_does_not_get_it(faked: str, fake_gate: Recorder, service: Recorder) -> None:
    body = b"x" * 100_000
    assert ask(faked, "token", [("Content-Type", "text/plain")], body).text == "hello"
    assert [(seen.method, seen.body) for seen in service.seen] == [("POST", body)]
    assert [(seen.method, seen.body) for seen in fake_gate.seen] == [("GET", b"")]


def test_a_post_passes_the_real_agentgate(
    gate: Gate, agent: Agent, person: Person, proxy: str, service: Recorder
) -> None:
    token = gate.tokens(agent, person)["accessToken"]
    assert ask(proxy, token, body=b"x" * 100_000).status_code == 200
    assert [len(seen.body) for seen in service.seen] == [100_000]


def test_a_forged_header_does_not_stand_in_for_one_that_agentgate_left_out(
    faked: str, fake_gate: Recorder, service: Recorder
) -> None:
    assert ask(faked, "token", FORGED).text == "hello"
    fake_gate.answer = (200, {})
    assert ask(faked, "token", FORGED).text == "hello"
    told = [[pair for pair in seen.named("agentgate") if not is_placeholder(pair[1])] for seen in service.seen]
    assert [[(found.lower(), value) for found, value in pairs] for pairs in told] == [
        [("x-agentgate-user", "usr_real")],
        [],
    ]


def test_a_caller_has_no_say_in_what_agentgate_is_asked(faked: str, fake_gate: Recorder) -> None:
    forged = [
        (name, "forged")
        for name in ("X-Resource-Server", "X_Resource_Server", "X-Required-Scopes", "X_Required_Scopes")
    ]
    forwarded = [("X-Forwarded-For", "192.0.2.7"), ("X_Forwarded_For", "192.0.2.7")]
    assert ask(f"{faked}?scopes=forged&resource=forged", "token", [*forged, *forwarded]).text == "hello"
    (question,) = fake_gate.seen
    assert question.path == "/api/v1/forward-auth?scopes=email:read"
    assert [value for _, value in question.named("resource-server")] == ["Basic cmVzX3Rlc3Q6cnNfdGVzdA=="]
    assert [value for _, value in question.named("forwarded-for")] == ["127.0.0.1"]
    assert question.named("required-scopes") == []
    assert [found for found, _ in question.headers if "_" in found] == []
    assert [value for _, value in question.named("authorization")] == ["Bearer token"]


def test_what_is_not_good_does_not_pass(
    gate: Gate, agent: Agent, person: Person, proxy: str, service: Recorder
) -> None:
    low = gate.tokens(agent, person, ("calendar:read",))["accessToken"]
    answers = [ask(proxy, None, FORGED), ask(proxy, "garbage"), ask(proxy, low)]
    assert [answer.status_code for answer in answers] == [401, 401, 403]
    challenges = [answer.headers.get_list("WWW-Authenticate") for answer in answers]
    assert challenges == [
        ['Bearer scope="email:read"'],
        ['Bearer error="invalid_token", scope="email:read"'],
        ['Bearer error="insufficient_scope", scope="email:read"'],
    ]
    assert service.seen == []


def test_a_caller_cannot_lower_what_is_required(gate: Gate, agent: Agent, person: Person, proxy: str) -> None:
    low = gate.tokens(agent, person, ("calendar:read",))["accessToken"]
    for spelling in ("X-Required-Scopes", "X_Required_Scopes"):
        assert ask(proxy, low, [(spelling, "calendar:read")]).status_code == 403
    assert ask(f"{proxy}?scopes=calendar:read", low).status_code == 403


def test_a_caller_cannot_ask_in_the_name_of_a_resource_server_of_its_own(
    gate: Gate, person: Person, proxy: str, service: Recorder
) -> None:
    """AgentGate reads `X_Resource_Server` as `X-Resource-Server`, and the later one counts."""
    stranger = gate.developer()
    body = {"name": "Own", "identifier": f"https://own-{stranger.id[-8:]}.example", "scopes": list(SCOPES)}
    credential = credential_of(expect(201, gate.post("/resource-servers", body, **stranger.headers)))
    token = gate.tokens(gate.agent(stranger), person)["accessToken"]
    for spelling in ("X-Resource-Server", "X_Resource_Server", "X-Resource_Server"):
        assert ask(proxy, token, [(spelling, credential)]).status_code == 401
    assert service.seen == []


def test_a_revocation_counts_at_the_very_next_request(gate: Gate, agent: Agent, person: Person, proxy: str) -> None:
    tokens = gate.tokens(agent, person)
    assert ask(proxy, tokens["accessToken"]).status_code == 200
    gate.post(f"/users/me/consents/{tokens['consentId']}/revoke", **person.headers)
    assert ask(proxy, tokens["accessToken"]).status_code == 401


def test_a_policy_counts_behind_the_proxy_too(
    gate: Gate, developer: Developer, agent: Agent, person: Person, proxy: str, service: Recorder
) -> None:
    gate.policy(developer, "rate_limit", agent=agent, maxRequests=1, windowSeconds=3600, scope="per_user")
    token = gate.tokens(agent, person)["accessToken"]
    allowed, denied = ask(proxy, token), ask(proxy, token)
    assert (allowed.status_code, allowed.headers.get("Retry-After")) == (200, None)
    assert (denied.status_code, denied.headers["X-AgentGate-Reason"]) == (403, "policy_denied")
    assert 0 < int(denied.headers["Retry-After"]) <= 3600 + 3600 // 64 + 1
    assert "WWW-Authenticate" not in denied.headers, "another token would not help"
    assert len(service.seen) == 1


def test_a_token_for_another_service_does_not_pass(gate: Gate, person: Person, proxy: str) -> None:
    stranger = gate.agent(gate.developer())
    assert ask(proxy, gate.tokens(stranger, person)["accessToken"]).status_code == 401


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 503])
def test_no_answer_but_yes_lets_a_request_through(
    faked: str, fake_gate: Recorder, service: Recorder, status: int
) -> None:
    fake_gate.answer = (status, {"X-AgentGate-User": "usr_real", "Location": "https://elsewhere.example"})
    assert ask(faked, "token").status_code >= 300
    assert service.seen == []


@pytest.mark.parametrize("status", [403, 429])
def test_a_rate_limit_tells_the_caller_when_to_come_back(
    name: str, faked: str, fake_gate: Recorder, service: Recorder, status: int
) -> None:
    """nginx passes on 401 and 403 alone; it makes every other refusal a 500."""
    fake_gate.answer = (status, {"Retry-After": "17"})
    answer = ask(faked, "token")
    passed_on = 500 if name == "nginx" and status == 429 else status
    assert (answer.status_code, answer.headers.get_list("Retry-After")) == (passed_on, ["17"])
    assert service.seen == []


def test_an_answer_that_takes_too_long_is_a_refusal(faked: str, fake_gate: Recorder, service: Recorder) -> None:
    fake_gate.delay = 9
    answer = ask(faked, "token")
    assert answer.status_code >= 500
    assert answer.elapsed.total_seconds() < 9
    assert service.seen == []


def test_without_agentgate_nothing_passes(name: str, servers: Servers, service: Recorder) -> None:
    with proxied(name, servers.folder, gate=free_port(), service=service.server_port) as url:
        assert ask(url, "token", FORGED).status_code >= 500
    assert service.seen == []


def test_a_folder_that_nginx_serves_is_one_decision(servers: Servers, fake_gate: Recorder) -> None:
    with proxied("nginx-with-files", servers.folder, gate=fake_gate.server_port, service=free_port()) as url:
        page = ask(url.removesuffix("inbox"), "token")
    assert (page.status_code, page.text) == (200, "a page")
    assert [seen.path for seen in fake_gate.seen] == ["/api/v1/forward-auth?scopes=email:read"]


def test_the_page_names_every_header_that_agentgate_sets() -> None:
    """nginx and Caddy hand on what their configuration lists."""
    for language in ("nginx", "caddyfile", "lua"):
        block = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)[0]
        assert set(IDENTITY) <= set(re.findall(r"X-AgentGate-\w+", block)), language
