"""One process of the production server decides for both, and the other takes over when it is killed."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client.mmap_dict import MmapedDict

from server.front.decider import SOCKET
from tests.live.gate import Gate
from tests.live.server import LiveServer
from tests.waiting import wait_until

CLIENTS = 8
ASKED = 5
# The socket at which the decider listens, and its end of the connection.
OWN_SOCKETS = 2


# SQLite has one process by default.
@pytest.mark.parametrize("live_store", ["postgresql"], indirect=True)
def test_one_process_decides_for_both_until_it_is_killed(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(processes=2, DJANGO_SETTINGS_MODULE="tests.live.unthrottled")
    gate = Gate(server.url)
    token = gate.tokens(gate.agent(gate.developer()), gate.person())["accessToken"]

    check_one_decides(server, token)
    decider = find_decider(server)
    decider.kill()
    decider.wait()
    server.wait_until_healthy()
    check_one_decides(server, token)


def check_one_decides(server: LiveServer, token: str) -> None:
    """Ask questions on connections to both processes, and check that the same one decides them all."""
    wait_until(lambda: len(sockets(find_decider(server))) == OWN_SOCKETS)
    folder, decider = Path(sockets(find_decider(server))[0]).parent, find_decider(server).pid
    before = decisions(folder)
    with ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(base_url=server.url)) for _ in range(CLIENTS)]
        for client in clients * ASKED:
            body = {"token": token, "requiredScopes": ["email:read"]}
            assert client.post("/api/v1/tokens/verify", json=body).json()["allowed"]
        connected = [process for process in server.workers() if process.net_connections("tcp")[1:]]
    assert len(connected) == 2, "one process has accepted all connections, so this test has shown nothing"
    assert decisions(folder) - before == {decider: CLIENTS * ASKED}


def find_decider(server: LiveServer) -> psutil.Process:
    wait_until(lambda: any(sockets(process) for process in server.workers()))
    return next(process for process in server.workers() if sockets(process))


def sockets(process: psutil.Process) -> list[str]:
    found = [str(connection.laddr) for connection in process.net_connections("unix")]
    return [path for path in found if path.endswith(SOCKET)]


def decisions(folder: Path) -> Counter[int]:
    """Return how many decisions each process has made."""
    made: Counter[int] = Counter()
    for file in folder.glob("counter_*.db"):
        values = MmapedDict.read_all_values_from_file(str(file))
        made[int(file.stem.removeprefix("counter_"))] += int(
            sum(value for key, value, *_ in values if "agentgate_decisions_total" in key)
        )
    return made
