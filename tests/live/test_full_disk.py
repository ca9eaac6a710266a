"""The disk of the database is full under load."""

import math
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.environment import Servers
from tests.live.disks import SmallDisk, small_disk
from tests.live.load import Fault, Load, check_fault, health_answered
from tests.live.server import Databases, LiveServer
from tests.servers import Postgres

pytestmark = pytest.mark.soak

FULL_SECONDS = 5


def fill_and_free(load: Load, disk: SmallDisk) -> float:
    """Return when the disk was full and decisions had failed for some time."""
    began = time.monotonic()
    disk.fill()
    load.wait_for_more(50, 503)
    failing = time.monotonic()
    time.sleep(FULL_SECONDS)
    assert health_answered(load, failing + 1, math.inf) == {503}, "reading works, but no decision can be written"
    disk.free()
    return began


def test_the_disk_of_sqlite(databases: Databases, servers: Servers) -> None:
    with small_disk(64) as disk:  # decisions write about 7 MB per second
        database = databases.sqlite(disk.folder)
        with LiveServer(database, servers.folder, processes=1, TMPDIR=str(disk.folder)) as server:
            with Load(server) as load:
                fault = Fault(fill_and_free(load, disk), time.monotonic())
                time.sleep(3)
            check_fault(load, server, fault)


@pytest.fixture
def postgres_disk() -> Iterator[tuple[Postgres, SmallDisk]]:
    with small_disk(320) as disk:
        postgres = Postgres(own=True, folder=disk.folder)
        try:
            yield postgres, disk
        finally:
            postgres.stop()


def test_the_disk_of_postgresql(
    postgres_disk: tuple[Postgres, SmallDisk], databases: Databases, servers: Servers
) -> None:
    postgres, disk = postgres_disk
    with LiveServer(databases.on(postgres), servers.folder, processes=2) as server:
        with Load(server) as load:
            began = fill_and_free(load, disk)
            restart_if_it_has_ended(postgres)
            fault = Fault(began, time.monotonic())
            time.sleep(3)
        check_fault(load, server, fault)


def restart_if_it_has_ended(postgres: Postgres) -> None:
    """PostgreSQL ends if it cannot write its write-ahead log."""
    try:
        psycopg.connect(postgres.url, connect_timeout=2).close()
    except psycopg.OperationalError:
        postgres.halt()
        postgres.start()
