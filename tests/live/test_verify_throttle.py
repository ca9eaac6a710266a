"""The throttle of anonymous verify requests over several processes, with and without Redis."""

from collections import Counter
from collections.abc import Callable

from tests.live.gate import Gate, race
from tests.live.server import LiveServer
from tests.servers import Valkey, free_port

BODY = {"token": "x", "requiredScopes": ["email:read"]}
LIMIT, PROCESSES, CALLS = 50, 2, 200


def statuses(gate: Gate) -> Counter[int]:
    """Send `CALLS` parallel requests and count the responses by status."""
    answers = race(20, lambda _: [gate.post("/tokens/verify", BODY).status_code for _ in range(CALLS // 20)])
    return Counter(status for each in answers for status in each)


def test_the_limit_applies_to_all_processes_together(start_server: Callable[..., LiveServer], live_store: str) -> None:
    processes = PROCESSES if live_store == "postgresql" else 1
    server = start_server(processes=processes, THROTTLE_VERIFY=f"{LIMIT}/hour")
    answers = statuses(Gate(server.url))
    # Redis may be late on a busy machine; then each process counts by itself for some seconds.
    most = LIMIT * processes if "Redis does not answer" in server.log_text() else LIMIT
    assert set(answers) == {200, 429}
    assert LIMIT <= answers[200] <= most


def test_while_redis_is_stopped_the_limit_holds_per_process(start_server: Callable[..., LiveServer]) -> None:
    valkey = Valkey()
    try:
        server = start_server(processes=PROCESSES, THROTTLE_VERIFY=f"{LIMIT}/hour", REDIS_URL=valkey.url)
        gate = Gate(server.url)
        before = statuses(gate)
        valkey.kill()
        after = statuses(gate)
    finally:
        valkey.stop()
    assert set(before) == set(after) == {200, 429}
    assert before[200] == LIMIT
    assert after[200] <= LIMIT * PROCESSES


def test_without_redis_each_process_counts_by_itself(start_server: Callable[..., LiveServer]) -> None:
    away = f"redis://127.0.0.1:{free_port()}/0"
    server = start_server(processes=PROCESSES, THROTTLE_VERIFY=f"{LIMIT}/hour", REDIS_URL=away)
    answers = statuses(Gate(server.url))
    assert set(answers) <= {200, 429}
    assert LIMIT <= answers[200] <= LIMIT * PROCESSES
