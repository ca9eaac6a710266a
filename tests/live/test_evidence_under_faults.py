"""Kills lose, double and reorder no decision, and every checkpoint that was seen before and between them holds."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import quantiles

import httpx
import pytest

from tests.environment import Servers
from tests.live.gate import Gate
from tests.live.load import PAUSE_SECONDS, Answer, Fault, Load
from tests.live.metrics import TOKEN, Scraped
from tests.live.outside import Checkpoint, Watch, anchored, audit, download, read_hashes, roots_of
from tests.live.server import Databases, LiveServer
from tests.servers import Postgres
from tests.waiting import wait_until

logger = logging.getLogger(__name__)

WRITERS = 8
PEOPLE = 4
DOWN_SECONDS = 1.0
SOON, TAKEOVER = 1.0, 2.0
# A machine that runs other tests at the same time is slower.
PATIENCE = 30.0


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server of its own, which the test kills."""
    postgres = Postgres(own=True)
    yield postgres
    postgres.stop()


@pytest.fixture
def server(
    live_store: str, databases: Databases, servers: Servers, request: pytest.FixtureRequest
) -> Iterator[LiveServer]:
    on_sqlite = live_store == "sqlite"
    database = databases.sqlite() if on_sqlite else databases.on(request.getfixturevalue("postgres"))
    processes = 1 if on_sqlite else 2
    with LiveServer(database, servers.folder, processes, METRICS_TOKEN=TOKEN) as server:
        yield server


@dataclass
class Run:
    """Decisions under faults, and what was seen from outside."""

    server: LiveServer
    load: Load
    watch: Watch
    faults: list[Fault] = field(default_factory=list)
    sequencer_kills: list[float] = field(default_factory=list)

    def decided(self) -> int:
        return len(self.load.with_status(200))

    def wait_until_decided(self, number: int) -> None:
        wait_until(lambda: self.decided() >= number, lambda: str(self.load.statuses()), seconds=1800)

    def kill_worker(self) -> None:
        began = time.monotonic()
        self.server.kill_a_worker()
        self.server.wait_until_healthy()
        self._recover(began)

    def kill_sequencer(self) -> None:
        began = time.monotonic()
        sequencer = self.server.sequencer()
        assert sequencer
        sequencer.kill()
        self.sequencer_kills.append(time.monotonic())
        self._recover(began)

    def kill_postgres(self, postgres: Postgres) -> None:
        began = time.monotonic()
        postgres.kill()
        time.sleep(DOWN_SECONDS)
        postgres.start()
        self._recover(began)

    def _recover(self, began: float) -> None:
        """Wait until decisions are made and logged again. The log has caught up then."""
        self.load.wait_for_more(WRITERS)
        self.watch.wait_for_next(PATIENCE)
        wait_until(lambda: self.watch.lags[-1] < SOON, self._explain, PATIENCE)
        self.watch.wait_for_next(PATIENCE)
        self.faults.append(Fault(began, time.monotonic()))

    def _explain(self) -> str:
        return f"the log is late: {self.watch.lags[-20:]}\n{self.server.log_text()[-3000:]}"

    def covered(self) -> list[tuple[Answer, float]]:
        """Return each answer, and when the first checkpoint was seen that covers its entry."""
        indexes = {audit_id: index for index, audit_id in enumerate(self.server.database.logged_ids())}
        answers = self.load.with_status(200)
        return [(answer, self.watch.first_covering(indexes[answer.audit_id]).seen) for answer in answers]

    def had_fault(self, since: float, until: float) -> bool:
        return any(fault.began < until and since < fault.ended for fault in self.faults)


def kills_of(run: Run, request: pytest.FixtureRequest, live_store: str) -> list[Callable[[], None]]:
    kills = [run.kill_worker, run.kill_sequencer]
    if live_store == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        kills.append(lambda: run.kill_postgres(postgres))
    return kills


def make_decisions(
    server: LiveServer,
    live_store: str,
    request: pytest.FixtureRequest,
    decisions: int,
    rounds: int,
    pause: float = PAUSE_SECONDS,
) -> Run:
    """Let writers ask for this number of decisions, with one kill of each kind per round."""
    with Watch(server) as watch:
        load = Load(server, clients=WRITERS, tokens=PEOPLE, pause=pause)
        run = Run(server, load, watch)
        kills = kills_of(run, request, live_store) * rounds
        with load:
            for number, kill in enumerate(kills, 1):
                run.wait_until_decided(decisions * number // (len(kills) + 1))
                kill()
            run.wait_until_decided(decisions)
        size = server.database.count_entries()
        wait_until(lambda: watch.checkpoints[-1].size >= size, seconds=PATIENCE)
    return run


def check_nothing_is_lost_or_doubled(run: Run) -> None:
    assert run.load.statuses().keys() <= {200, 503, 0, -1}, run.load.statuses()
    answered = [answer.audit_id for answer in run.load.with_status(200)]
    logged = run.server.database.logged_ids()
    assert len(answered) == len(set(answered))
    assert len(logged) == len(set(logged)), "an entry is in the log twice"
    lost = set(answered) - set(logged)
    assert not lost, f"{len(lost)} of {len(answered)} decisions are not in the log"
    ((lowest, highest),) = run.server.database.rows("SELECT min(leaf_index), max(leaf_index) FROM audit_entry")
    assert (lowest, highest) == (0, len(logged) - 1)


def check_checkpoints_hold(run: Run) -> None:
    """Check that all checkpoints that were ever seen are of beginnings of the log, as the newest one is."""
    newest = Checkpoint.read(httpx.get(f"{run.server.url}/api/v1/audit/checkpoint", timeout=20).text)
    anchors = anchored(run.server)
    seen = [*run.watch.checkpoints, *anchors, newest]
    assert [one.size for one in run.watch.checkpoints] == sorted(one.size for one in run.watch.checkpoints)
    roots = roots_of(read_hashes(run.server, newest.size), {one.size for one in seen})
    assert anchors
    forked = [one.size for one in seen if roots.get(one.size) != one.root]
    assert not forked, f"checkpoints of {forked} entries are not of this log"


def check_streams(run: Run, folder: Path) -> None:
    """Check the streams of the organization and of its people as they would."""
    server, load = run.server, run.load
    key = download(server, "/audit/key", folder / "key", {})
    exports = [("/audit/export", load.developer.headers)]
    for person in load.people:
        # Long runs take longer than a sign-in allows exports.
        renewed = replace(person, session_token=Gate(server.url).sign_in(person.email))
        exports.append(("/users/me/audit-export", renewed.headers))
    earliest = folder / "earliest"
    earliest.write_text(run.watch.checkpoints[0].note)
    for number, (path, headers) in enumerate(exports):
        file = download(server, path, folder / f"{number}.jsonl", headers)
        status, output = audit(
            "verify", file, "--key", key, "--consistent-with", earliest, "--log", f"{server.url}/api/v1/audit"
        )
        assert status == 0, output
        assert "complete" in output


def check_database(run: Run, folder: Path) -> None:
    """Check the log with the operator's command, also against the first checkpoint that was seen."""
    size = run.server.database.count_entries()
    output = run.server.manage("audit_verify", "--checkpoint", str(folder / "earliest"))
    assert f"{size} entries" in output
    assert "are right" in output


def check_lag_is_reported(run: Run) -> None:
    assert max(run.watch.lags) > 0, "the log was never late, although the sequencer was killed"
    samples = {sample.name for sample in Scraped(run.server).samples}
    assert "agentgate_sequencer_lag_seconds" in samples


def check_evidence(run: Run, folder: Path) -> tuple[list[float], list[float]]:
    """Return how long decisions waited for a checkpoint while all was up, and after each kill of the sequencer."""
    check_nothing_is_lost_or_doubled(run)
    check_checkpoints_hold(run)
    check_streams(run, folder)
    check_database(run, folder)
    check_lag_is_reported(run)
    covered = run.covered()
    waited = sorted(at - each.answered for each, at in covered if not run.had_fault(each.answered, at))
    takeovers = [min(at for each, at in covered if each.asked > killed) - killed for killed in run.sequencer_kills]
    cuts = quantiles(waited, n=100)
    logger.info(
        "%s decisions: %s; covered after %.2f s (p50), %.2f s (p99), %.2f s (max of %s); takeovers %s; largest lag %s",
        run.decided(),
        run.load.statuses(),
        cuts[49],
        cuts[98],
        waited[-1],
        len(waited),
        [round(seconds, 2) for seconds in takeovers],
        max(run.watch.lags),
    )
    return waited, takeovers


def test_kills_leave_the_evidence_complete(
    server: LiveServer, live_store: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run = make_decisions(server, live_store, request, decisions=600, rounds=1)
    _, takeovers = check_evidence(run, tmp_path)
    assert max(takeovers) <= PATIENCE


@pytest.mark.soak
def test_many_kills_leave_the_evidence_complete_and_early(
    server: LiveServer, live_store: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    decisions = 20_000 if live_store == "sqlite" else 100_000
    run = make_decisions(server, live_store, request, decisions, rounds=5, pause=0)
    waited, takeovers = check_evidence(run, tmp_path)
    assert waited[-1] <= SOON
    assert max(takeovers) <= TAKEOVER
