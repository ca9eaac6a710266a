"""PostgreSQL or Redis is frozen: it accepts connections, acknowledges what is sent, and answers nothing."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import httpx
import psycopg
import pytest

from core.timeouts import ANSWER_SECONDS, DECISION_SECONDS
from tests.constants import CALLBACK, PASSWORD, SCOPES
from tests.environment import Servers
from tests.live.gate import TLS, Agent, Gate, Person, code_of, expect
from tests.live.server import Database, Databases, LiveServer
from tests.servers import Postgres, Valkey
from tests.waiting import wait_until

PROCESSES = 2
# Each door is knocked at this often at once: more requests than there are threads.
TIMES = 2
# Of a request that has its turn at once, and one that waited: what they may take, and the time of a busy machine.
LONGEST_SECONDS = ANSWER_SECONDS + 1
RECOVERY_SECONDS = 5
SLOW_COMMITS = """
    CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(2); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON consent_consent DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION sleep();
    CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON tokens_accesstoken DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION sleep();
"""
FAST_COMMITS = "DROP FUNCTION sleep() CASCADE"
COMMITTING = "query = 'COMMIT' AND wait_event = 'PgSleep' AND datname = current_database()"
# What would be left of a request that was given up: an open transaction, or a statement that still runs.
LEFT = (
    "datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)

Knock = Callable[[], httpx.Response]


@dataclass(frozen=True)
class Answer:
    door: str
    response: httpx.Response

    @property
    def seconds(self) -> float:
        return self.response.elapsed.total_seconds()

    @property
    def is_page(self) -> bool:
        return self.door == "form" or (self.door.startswith("/") and not self.door.startswith("/oauth/"))

    @property
    def decides(self) -> bool:
        """Whether a batch of decisions answers it, which may be under way."""
        return self.door in ("health", "verify", "/oauth/introspect")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    postgres = Postgres(own=True)
    yield postgres
    postgres.stop()


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    valkey = Valkey()
    yield valkey
    valkey.stop()


@pytest.fixture
def server(postgres: Postgres, valkey: Valkey, databases: Databases, servers: Servers) -> Iterator[LiveServer]:
    database = Database({**databases.on(postgres).environment, "REDIS_URL": valkey.url})
    with LiveServer(database, servers.folder, processes=PROCESSES) as server:
        yield server


class Doors:
    """Every kind of door of a server, with what each needs."""

    def __init__(self, server: LiveServer) -> None:
        self.gate = Gate(server.url)
        self.developer = self.gate.developer()
        self.agent: Agent = self.gate.agent(self.developer)
        self.person: Person = self.gate.person()
        self.tokens = self.gate.tokens(self.agent, self.person)
        self.browser = httpx.Client(base_url=server.url, timeout=60, verify=TLS)
        assert self.sign_in(self.browser).status_code in (302, 303)
        body = {"name": "Shop", "identifier": "https://shop.example", "scopes": list(SCOPES)}
        service = expect(201, self.gate.post("/resource-servers", body, **self.developer.headers))
        self.service = (service["id"], service["secret"])

    def sign_in(self, browser: httpx.Client) -> httpx.Response:
        """Fill in the form. Return its page if that is refused: the address may have all its threads."""
        page = browser.get("/accounts/login/")
        if page.status_code != 200:
            return page
        form = {"login": self.person.email, "password": PASSWORD, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        return browser.post("/accounts/login/", data=form)

    def oauth(self, path: str, credential: tuple[str, str], **form: str) -> httpx.Response:
        return httpx.post(f"{self.gate.url}/oauth/{path}", data=form, auth=credential, timeout=60, verify=TLS)

    def initiate(self, **headers: str) -> httpx.Response:
        body = {"clientId": self.agent.client_id, "requestedScopes": list(SCOPES), "redirectUri": CALLBACK}
        return self.gate.post("/consent/initiate", body, **headers)

    def programs(self) -> dict[str, Knock]:
        """Return doors that answer programs, with what makes each succeed as often as it is asked."""
        gate, person, key = self.gate, self.person, self.developer.headers
        verify = {"token": self.tokens["accessToken"], "requiredScopes": ["email:read"]}
        login = {"email": person.email, "password": PASSWORD}
        new = {"name": "More", "redirectUris": [CALLBACK], "allowedScopes": list(SCOPES)}
        service, client = self.service, (self.agent.client_id, self.agent.client_secret)
        return {
            "health": lambda: gate.get("/health"),
            "verify": lambda: gate.post("/tokens/verify", verify),
            "sign-in": lambda: gate.post("/users/login", login),
            "initiate": self.initiate,
            "agents": lambda: gate.get("/agents", **key),
            "new agent": lambda: gate.post("/agents", new, **key),
            "connections": lambda: gate.get(f"/users/{person.id}/consents", **person.headers),
            "audit": lambda: gate.get("/audit", **key),
            "/oauth/introspect": lambda: self.oauth("introspect", service, token=self.tokens["accessToken"]),
            "/oauth/revoke": lambda: self.oauth("revoke", client, token="unknown"),
        }

    def once(self) -> dict[str, Knock]:
        """Return doors that succeed once."""
        gate, agent = self.gate, self.agent
        code = gate.code(agent, gate.person())
        refreshed, also = (gate.tokens(agent, gate.person())["refreshToken"] for _ in range(2))
        client = (agent.client_id, agent.client_secret)
        return {
            "exchange": lambda: gate.exchange(agent, code),
            "refresh": lambda: gate.refresh(agent, refreshed),
            "/oauth/token": lambda: self.oauth("token", client, grant_type="refresh_token", refresh_token=also),
        }

    def pages(self) -> dict[str, Knock]:
        """Return pages of a user who is signed in, and the form that signs in."""
        paths = ("/", "/connections", "/activity", "/account", "/account/sessions", "/developer/")
        form = {"form": lambda: self.sign_in(httpx.Client(base_url=self.gate.url, timeout=60, verify=TLS))}
        return form | {path: partial(self.browser.get, path) for path in paths}


def ask(door: str, knock: Knock) -> Answer:
    return Answer(door, knock())


def ask_all(doors: dict[str, Knock], times: int = 1) -> list[Answer]:
    """Knock at all doors at once."""
    with ThreadPoolExecutor(len(doors) * times) as pool:
        return list(pool.map(lambda item: ask(*item), [*doors.items()] * times))


def statuses(answers: list[Answer]) -> dict[str, int]:
    return {answer.door: answer.response.status_code for answer in answers}


def check_refused(answer: Answer) -> None:
    """Check that a 503 says when to try again, and in the language of who asked."""
    response = answer.response
    assert response.status_code == 503, (answer.door, response.status_code, response.text[:300])
    if answer.is_page:
        assert "The service is temporarily unavailable" in response.text
        assert "Try again in a few moments." in response.text
        assert response.headers["Retry-After"] == "1"
    elif answer.door == "health":
        assert response.json()["status"] != "ok"
    else:
        code = response.json()["error"] if answer.door.startswith("/oauth/") else code_of(response)
        assert code in ("unavailable", "temporarily_unavailable") or (code == "outcome_unknown" and answer.decides)
        assert code == "outcome_unknown" or response.headers["Retry-After"] == "1"


def test_postgresql_says_nothing(server: LiveServer, postgres: Postgres) -> None:
    doors = Doors(server)
    every, once = {**doors.programs(), **doors.pages()}, doors.once()
    usual = statuses(ask_all(every))
    assert set(usual.values()) <= {200, 201, 302, 303}, usual
    threads = sum(worker.num_threads() for worker in server.workers())

    consents = server.database.count("consent_consent") + 1
    late_code = doors.gate.code(doors.agent, doors.gate.person())
    with psycopg.connect(server.database.environment["DATABASE_URL"], autocommit=True) as admin:
        admin.execute(SLOW_COMMITS)
    late: dict[str, Knock] = {
        "initiate": lambda: doors.initiate(Idempotency_Key="late"),
        "exchange": lambda: doors.gate.exchange(doors.agent, late_code, Idempotency_Key="late"),
    }
    with ThreadPoolExecutor(len(late)) as pool:
        unknown: list[Future[Answer]] = [pool.submit(ask, *item) for item in late.items()]
        wait_until(lambda: server.database.count("pg_stat_activity", COMMITTING) == len(late), pause=0.01)
        postgres.send_signal(signal.SIGSTOP)
        try:
            answers = ask_all({**every, **once}, TIMES)
            late_answers = [each.result() for each in unknown]
        finally:
            postgres.send_signal(signal.SIGCONT)
    resumed = time.monotonic()

    for answer in answers:
        check_refused(answer)
        longest = DECISION_SECONDS + 1 if answer.decides else LONGEST_SECONDS
        assert answer.seconds < longest, (answer.door, answer.seconds)
    for answer in late_answers:
        assert (answer.response.status_code, code_of(answer.response)) == (503, "outcome_unknown"), answer.door
        assert answer.seconds < LONGEST_SECONDS

    wait_until(lambda: server.database.count("consent_consent") == consents + 1, seconds=RECOVERY_SECONDS)
    ((committed,),) = server.database.rows("SELECT id FROM consent_consent ORDER BY created_at DESC LIMIT 1")
    repeats = {answer.door: answer.response for answer in ask_all(late)}
    assert expect(201, repeats["initiate"])["consentId"] == committed
    assert doors.gate.verify(expect(200, repeats["exchange"])["accessToken"])["allowed"]
    with psycopg.connect(server.database.environment["DATABASE_URL"], autocommit=True) as admin:
        admin.execute(FAST_COMMITS)
    assert statuses(ask_all(every)) == usual
    assert statuses(ask_all(once)) == dict.fromkeys(once, 200), "what was refused has not happened"
    assert time.monotonic() - resumed < RECOVERY_SECONDS
    wait_until(lambda: server.database.count("pg_stat_activity", LEFT) == 0, seconds=5)
    assert sum(worker.num_threads() for worker in server.workers()) <= threads + PROCESSES
    server.require_clean_log()


def test_redis_says_nothing(server: LiveServer, valkey: Valkey) -> None:
    if valkey.pid is None:
        pytest.skip("the server is shared")
    doors = Doors(server)
    every = {**doors.programs(), **doors.pages()}
    usual = statuses(ask_all(every))
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        answers = ask_all(every, TIMES)
    finally:
        os.kill(valkey.pid, signal.SIGCONT)
    assert statuses(answers) == usual
    assert max(answer.seconds for answer in answers) < 5
    server.require_clean_log(without="Internal Server Error")
