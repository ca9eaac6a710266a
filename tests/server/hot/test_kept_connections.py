"""A connection that repeats the head of a request: each request is answered by its own body and credential."""

import socket

from core.ids import ACCEPTABLE_REQUEST_ID
from developers.acting import as_developer
from resources.services import rotate_resource_server_secret
from tests.log import log_entry
from tests.server.hot.both import TIMEOUT, Answer, Both, Sent, parse, raw
from tests.server.hot.requests import Scene, basic, verify
from tests.world import ANONYMOUS


class Kept:
    """One connection to the front, which stays open."""

    def __init__(self, both: Both) -> None:
        self._socket = socket.create_connection(("127.0.0.1", both.front.port), TIMEOUT)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> "Kept":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, *many: Sent) -> list[Answer]:
        """Send requests together, and return their answers."""
        self._socket.sendall(b"".join(raw(sent).replace(b"Connection: close\r\n", b"") for sent in many))
        return [self._read(sent.method) for sent in many]

    def _read(self, method: str) -> Answer:
        head = b"".join(iter(self._file.readline, b"\r\n")) + b"\r\n"
        (length,) = [int(line.split()[1]) for line in head.splitlines() if line.lower().startswith(b"content-length")]
        return parse(head + self._file.read(length), method)


def test_requests_with_the_same_head_have_their_own_answers(scene: Scene, both: Both) -> None:
    asked = [verify(scene.token, scope, caller=basic(scene.own)) for scope in ("email:read", "email:send") * 3]
    asked = [sent.having(X_Request_Id="") for sent in asked]
    with Kept(both) as kept:
        answers = [*(kept.ask(sent)[0] for sent in asked), *kept.ask(*asked)]

    assert [answer.json.get("reason") for answer in answers] == [None, "insufficient_scope"] * 6
    request_ids = [answer.header("X-Request-Id") for answer in answers]
    assert len(set(request_ids)) == len(answers)
    assert all(ACCEPTABLE_REQUEST_ID.fullmatch(each) for each in request_ids)
    assert [log_entry(answer.json["auditId"]).content["requestId"] for answer in answers] == request_ids


def test_another_head_on_the_connection_is_another_caller(scene: Scene, both: Both) -> None:
    callers = [basic(scene.own), basic(scene.foreign), basic(scene.own, "rs_wrong" + "x" * 35), "", basic(scene.own)]
    with Kept(both) as kept:
        answers = kept.ask(*(verify(scene.token, caller=caller) for caller in callers))

    assert [answer.status for answer in answers] == [200, 200, 401, 200, 200]
    assert [answer.json.get("reason") for answer in answers[:2]] == [None, "wrong_audience"]


def test_a_secret_that_ends_meanwhile_is_refused(scene: Scene, both: Both) -> None:
    """What is remembered of the head is what was sent, not whether it was right."""
    sent = verify(scene.token, caller=basic(scene.own))
    with Kept(both) as kept:
        assert kept.ask(sent)[0].json["allowed"] is True
        rotate_resource_server_secret(actor=as_developer(ANONYMOUS, scene.developer), server=scene.own.server)
        assert kept.ask(sent)[0].status == 401
