"""Stopping the server under load loses no request that it accepted."""

import time
from collections.abc import Callable

from tests.live.load import LONGEST_SECONDS, REFUSED, Load, check_log
from tests.live.server import LiveServer


def test_a_stop_under_load_answers_each_request_that_was_decided(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(processes=2)
    with Load(server) as load:
        began = time.monotonic()
        server.stop()
        stopped = time.monotonic()
    server.start()

    check_log(load, server)
    assert server.database.count("audit_entry", "event = 'token.verify'") == len(load.with_status(200))
    assert stopped - began < LONGEST_SECONDS
    assert {answer.status for answer in load.answers if answer.answered < began} == {200}
    assert set(load.statuses()) <= {200, REFUSED}, "a request was lost"
