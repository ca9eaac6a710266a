"""The throttle of anonymous verify requests over several processes, with and without Redis."""

from collections import Counter
from collections.abc import Callable

import pytest

from tests.live.gate import Gate, race
from tests.live.server import LiveServer
from tests.servers import Valkey

BODY = {"token": "x", "requiredScopes": ["email:read"]}
LIMIT, PROCESSES, CALLS, CLIENTS = 30, 2, 120, 12


def statuses(gate: Gate) -> Counter[int]:
    """Send `CALLS` parallel requests and count the responses by status."""
    answers = race(CLIENTS, lambda _: [gate.post("/tokens/verify", BODY).status_code for _ in range(CALLS // CLIENTS)])
    return Counter(status for each in answers for status in each)


@pytest.mark.parametrize("live_store", ["postgresql"], indirect=True)
def test_all_processes_count_together_and_each_by_itself_while_redis_is_down(
    start_server: Callable[..., LiveServer],
) -> None:
    valkey = Valkey()
    try:
        server = start_server(processes=PROCESSES, THROTTLE_VERIFY=f"{LIMIT}/hour", REDIS_URL=valkey.url)
        gate = Gate(server.url)
        together = statuses(gate)
        late = "Redis does not respond" in server.log_text()
        valkey.kill()
        alone = statuses(gate)
    finally:
        valkey.stop()
    assert set(together) == {200, 429}
    assert set(alone) <= {200, 429}
    # Redis may be late on a busy machine; then each process counts by itself for some seconds.
    assert LIMIT <= together[200] <= (LIMIT * PROCESSES if late else LIMIT)
    assert together[200] + alone[200] <= LIMIT * (PROCESSES + 1)
