"""The receivers of docs/events.md get what happens: those with a reference library, and those of a shell."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import AF_UNIX, SOCK_DGRAM, socket

import httpx
import pytest
from standardwebhooks import Webhook

from tests.events.receivers import Receiver as Collector
from tests.events.receivers import receiving
from tests.live.gate import Developer, Gate, expect
from tests.live.receivers import Receiver, Start, following, in_javascript, in_python
from tests.live.sending import working
from tests.live.server import LiveServer
from tests.programs import find_program
from tests.servers import free_port
from tests.waiting import wait_until

ID = "log_0190a8c2b7f37d3e9c64d1f0a2b5e871"
BODY = f'{{"id": "{ID}", "type": "consent.revoked", "stream": {{"number": 1}}}}'
SECONDS = 30


class Endpoint:
    """A webhook at a free port, and the secret that it has now."""

    def __init__(self, gate: Gate, developer: Developer, start: Start) -> None:
        self.gate, self.developer, self.port, self._start = gate, developer, free_port(), start
        body = {"url": f"http://127.0.0.1:{self.port}/", "types": ["agent.created"]}
        made = expect(201, gate.post("/webhooks", body, **developer.headers))
        self.id, self.secret = made["id"], made["secret"]

    def run(self, folder: Path) -> AbstractContextManager[Receiver]:
        """Run a receiver with the secret."""
        return self._start(self.secret, self.port, folder)

    def rotate(self) -> None:
        path = f"/webhooks/{self.id}/rotate-secret"
        self.secret = expect(200, self.gate.post(path, {"overlapSeconds": 3600}, **self.developer.headers))["secret"]


def send(receiver: Receiver, secret: str, *, body: str = BODY, ago: timedelta = timedelta(0)) -> int:
    """Send a request that is signed for `BODY`, and return the status."""
    at = datetime.now(UTC) - ago
    signature = Webhook(secret).sign(ID, at, BODY)
    signed = {"webhook-id": ID, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
    return httpx.post(receiver.url, content=body, headers=signed).status_code


@pytest.fixture(scope="module")
def server(start_for_module: Callable[..., LiveServer]) -> Iterator[LiveServer]:
    """A server and its worker, which sends to this host."""
    server = start_for_module(processes=1, WEBHOOK_ALLOW_LOOPBACK="true")
    folder = server.log.with_suffix("")
    folder.mkdir()
    with working(server.database, folder, **server.environment):
        yield server


@pytest.mark.node
def test_receivers_accept_what_is_sent_during_a_rotation_too_and_nothing_else(
    server: LiveServer, tmp_path: Path
) -> None:
    gate = Gate(server.url)
    developer = gate.developer()
    endpoints = [Endpoint(gate, developer, start) for start in (in_python, in_javascript)]
    former = [one.secret for one in endpoints]
    with running(endpoints, tmp_path) as receivers:
        happen(gate, developer, receivers)
        for one in endpoints:
            one.rotate()
        happen(gate, developer, receivers)
        accepted = [one.accepted() for one in receivers]
    with running(endpoints, tmp_path) as receivers:
        happen(gate, developer, receivers)
        accepted = [[*before, *one.accepted()] for before, one in zip(accepted, receivers, strict=True)]
        for receiver, endpoint, secret in zip(receivers, endpoints, former, strict=True):
            assert send(receiver, endpoint.secret) == 204
            assert send(receiver, secret) == 400
            assert send(receiver, endpoint.secret, body=BODY.replace("revoked", "approved")) == 400
            assert send(receiver, endpoint.secret, ago=timedelta(minutes=6)) == 400
            assert httpx.post(receiver.url, content=BODY).status_code == 400
    feed = expect(200, gate.get("/events?types=agent.created", **developer.headers))["items"]
    assert accepted == [[event["id"] for event in feed]] * 2


def test_the_commands_bring_the_feed_into_a_file_to_syslog_and_to_splunk(server: LiveServer, tmp_path: Path) -> None:
    find_program("curl")
    gate = Gate(server.url)
    developer = gate.developer()
    variables = {"AGENTGATE_URL": server.url, "AGENTGATE_API_KEY": developer.api_key, "SPLUNK_TOKEN": "secret"}
    splunk = Collector(lambda number: 503 if number == 2 else 200)
    with closing(socket(AF_UNIX, SOCK_DGRAM)) as syslog, receiving(splunk) as url:
        syslog.bind(str(tmp_path / "syslog"))
        syslog.settimeout(SECONDS)
        with following(tmp_path, **variables, SPLUNK_URL=url.removesuffix("/hooks")):
            wait_until(lambda: splunk.received, seconds=SECONDS)
            gate.agent(developer)
            messages = [syslog.recv(65_536).decode() for _ in range(2)]
            wait_until(lambda: len(splunk.received) == 3, seconds=SECONDS)
    feed = expect(200, gate.get("/events", **developer.headers))["items"]
    assert len(feed) == 2
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == feed
    assert [json.loads(message.partition("agentgate: ")[2]) for message in messages] == feed
    collected = [json.loads(body) for _, _, body in splunk.received]
    assert [one["event"] for one in collected] == [feed[0], feed[1], feed[1]]
    assert {headers["authorization"] for _, headers, _ in splunk.received} == {"Splunk secret"}


@contextmanager
def running(endpoints: Sequence[Endpoint], folder: Path) -> Iterator[list[Receiver]]:
    with ExitStack() as stack:
        yield [stack.enter_context(one.run(folder)) for one in endpoints]


def happen(gate: Gate, developer: Developer, receivers: Sequence[Receiver]) -> None:
    """Let something happen, and wait until each receiver has accepted one event more."""
    before = [len(one.accepted()) for one in receivers]
    gate.agent(developer)

    def have_all() -> bool:
        return all(len(one.accepted()) > number for one, number in zip(receivers, before, strict=True))

    wait_until(have_all, lambda: "\n".join(one.log.read_text() for one in receivers), SECONDS)
