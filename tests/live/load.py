"""Load on the verify endpoint while a test breaks something, and what must be true of every answer."""

import base64
import http.client
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import OutcomeUnknown
from tests.constants import SCOPES
from tests.live.gate import Gate, expect
from tests.live.server import LiveServer
from tests.waiting import wait_until

CLIENTS = 8
CLIENT_SECONDS = 30
# A decision may take 5 seconds, a tick of the deadline's clock and, on a busy machine, some time to travel.
LONGEST_SECONDS = 6.0
# Between two requests of a client. Without it, a test keeps both cores busy for as long as it waits for anything.
PAUSE_SECONDS = 0.02
LOST, REFUSED = 0, -1
OUTCOMES = "SELECT outcome FROM audit_entry ORDER BY leaf_index"


@dataclass(frozen=True, slots=True)
class Answer:
    """When it was asked and answered, in seconds of `time.monotonic`.

    The status is `LOST` if the connection ended before the answer, or `REFUSED` if there was none.
    """

    asked: float
    answered: float
    status: int
    audit_id: str = ""
    is_allowed: bool = False
    retry_after: str = ""
    error: str = ""

    @property
    def seconds(self) -> float:
        return self.answered - self.asked

    @property
    def says_when(self) -> bool:
        """Whether a 503 says when to ask again, or that it may have been carried out."""
        return bool(self.retry_after) or self.error == OutcomeUnknown.code


class Load:
    """Threads that verify one token after the other until the block ends, each on its own connection.

    They authenticate as a resource server, or with a wrong `secret`. Another thread asks for the health of the server.
    With `pause=0`, they ask as fast as they can.
    """

    path = "/api/v1/tokens/verify"

    def __init__(
        self,
        server: LiveServer,
        clients: int = CLIENTS,
        tokens: int = 4,
        secret: str = "",
        pause: float = PAUSE_SECONDS,
    ) -> None:
        self._server, self._pause = server, pause
        self._usual = 401 if secret else 200
        self._prepare(Gate(server.url), tokens, secret)
        self._done = threading.Event()
        self.by_client: list[list[Answer]] = [[] for _ in range(clients)]
        self.health: list[Answer] = []
        self._threads = [threading.Thread(target=self._verify, args=(number,)) for number in range(clients)]
        self._threads.append(threading.Thread(target=self._watch_health))

    @property
    def answers(self) -> list[Answer]:
        return [answer for answers in self.by_client for answer in tuple(answers)]

    def with_status(self, status: int) -> list[Answer]:
        return [answer for answer in self.answers if answer.status == status]

    def wait_for_more(self, number: int, status: int = 200) -> None:
        """Wait until `number` more answers have this status."""
        goal = len(self.with_status(status)) + number
        wait_until(lambda: len(self.with_status(status)) >= goal, lambda: str(self.statuses()))

    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in self.answers)

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        self.wait_for_more(50, self._usual)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(CLIENT_SECONDS)
        assert not any(thread.is_alive() for thread in self._threads), "a request was never answered"

    def _prepare(self, gate: Gate, tokens: int, secret: str) -> None:
        developer = self.developer = gate.developer()
        agent = gate.agent(developer)
        body = {"name": "Shop", "identifier": f"https://{secrets.token_hex(8)}.example", "scopes": list(SCOPES)}
        server = expect(201, gate.post("/resource-servers", body, **developer.headers))
        basic = base64.b64encode(f"{server['id']}:{secret or server['secret']}".encode()).decode()
        self.headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
        self.people = [gate.person() for _ in range(tokens)]
        issued = [gate.tokens(agent, person)["accessToken"] for person in self.people]
        self.bodies = list(map(self.body, issued))

    def body(self, token: str) -> str:
        """Return the body of the requests about a token."""
        return json.dumps({"token": token, "requiredScopes": ["email:read"]})

    def headers_of_one(self) -> dict[str, str]:
        """Return the headers of one request."""
        return self.headers

    def _verify(self, client: int) -> None:
        connection = self._connect()
        while not self._done.is_set():
            body = self.bodies[client % len(self.bodies)]
            answer = self._ask(connection, "POST", self.path, body)
            self.by_client[client].append(answer)
            time.sleep(self._pause if answer.status == self._usual else PAUSE_SECONDS)

    def _watch_health(self) -> None:
        connection = self._connect()
        while not self._done.wait(0.1):
            self.health.append(self._ask(connection, "GET", "/api/v1/health", None))

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=CLIENT_SECONDS)

    def _ask(self, connection: http.client.HTTPConnection, method: str, path: str, body: str | None) -> Answer:
        asked = time.monotonic()
        try:
            connection.request(method, path, body, self.headers_of_one() if body else {})
            response = connection.getresponse()
            content = json.loads(response.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            status = REFUSED if isinstance(error, ConnectionRefusedError) else LOST
            return Answer(asked, time.monotonic(), status, error=repr(error))
        retry = response.headers.get("Retry-After", "")
        audit_id, is_allowed = content.get("auditId") or "", content.get("allowed") is True
        error = content.get("code") or ""
        return Answer(asked, time.monotonic(), response.status, audit_id, is_allowed, retry, error)


class CostlyBodies(Load):
    """The same with batches that are left to Django's threads, because parsing them could take long."""

    path = "/api/v1/tokens/verify/batch"

    def body(self, token: str) -> str:
        asked = {"token": token, "requiredScopes": ["email:read"], "context": {"lists": [[]] * 12}}
        return json.dumps({"requests": [asked] * 100})


@dataclass(frozen=True, slots=True)
class Fault:
    """When the fault began and ended, in seconds of `time.monotonic`."""

    began: float
    ended: float


def check_fault(load: Load, server: LiveServer, fault: Fault) -> None:
    """Check the answers before, during and after a fault, and that the log has each decision that was returned."""
    answers = load.answers
    assert {answer.status for answer in answers} == {200, 503}, load.statuses()
    assert all(answer.says_when for answer in answers if answer.status == 503)
    slow = [answer for answer in answers if answer.seconds >= LONGEST_SECONDS]
    assert not slow, f"{len(slow)} slow, such as {slow[0]} and {slow[-1]}; {fault}"
    assert recovery_seconds(load.by_client, fault) < 1
    check_log(load, server)


def recovery_seconds(by_client: Sequence[Sequence[Answer]], fault: Fault) -> float:
    """Return how long after the fault's end every client had been given a decision again."""
    firsts = [min(a.answered for a in own if a.status == 200 and a.answered > fault.ended) for own in by_client]
    return max(firsts) - fault.ended


def check_log(load: Load, server: LiveServer) -> None:
    """Check that the log has the entry of each decision that was returned."""
    server.database.count_entries()
    logged = dict(zip(server.database.logged_ids(), server.database.rows(OUTCOMES), strict=True))
    decided = load.with_status(200)
    lost = [answer for answer in decided if logged.get(answer.audit_id) != ("allowed",)]
    assert not lost, f"{len(lost)} of {len(decided)} returned decisions are not in the log"
    assert all(answer.is_allowed for answer in decided)


def health_answered(load: Load, after: float, before: float) -> set[int]:
    """Return the statuses of the health checks that were answered in this time."""
    return {answer.status for answer in load.health if after <= answer.answered <= before}


class MadeUpScopes(Load):
    """Batches of 100 questions, each for 100 scopes that do not exist. Verify has to refuse some of them."""

    path = "/api/v1/tokens/verify/batch"

    def ask_once(self, body: str) -> int:
        """Return the status of one batch."""
        return self._ask(self._connect(), "POST", self.path, body).status

    def body(self, token: str) -> str:
        questions = [
            {"token": token, "requiredScopes": [f"made:x{secrets.token_hex(10)}" for _ in range(100)]}
            for _ in range(100)
        ]
        return json.dumps({"requests": questions})
