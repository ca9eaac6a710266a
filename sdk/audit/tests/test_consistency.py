"""Checkpoints against each other, with the log's tiles in a folder or behind HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from log_builder import LogBuilder, Tree

from agentgate_audit import Broken, Checkpoint, Unusable, VerifierKey, check_consistency, open_checkpoint, open_source
from agentgate_audit.tiles import Tree as TileTree
from agentgate_audit.tiles import tile_path

# Leaves need not be entries to be hashed.
LEAVES = [str(number).encode() for number in range(70_000)]


class BigLog(LogBuilder):
    def __init__(self, leaves: list[bytes]) -> None:
        super().__init__()
        self.leaves = leaves
        self.tree = Tree(leaves)


@pytest.fixture(scope="module")
def big_log() -> BigLog:
    return BigLog(LEAVES)


@pytest.fixture(scope="module")
def fork() -> BigLog:
    return BigLog([*LEAVES[:300], b"forged", *LEAVES[301:1000]])


@pytest.fixture(scope="module")
def tiles(big_log: BigLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    big_log.tree.write_tiles(folder, len(LEAVES))
    for size in (1000, 600):
        big_log.tree.write_tiles(folder, size)
    return folder


def at(log: LogBuilder, size: int, key: VerifierKey) -> Checkpoint:
    return open_checkpoint(log.checkpoint(size), key)


@pytest.mark.parametrize("old", [0, 1, 2, 255, 256, 257, 512, 65_535, 65_536, 65_537, 69_999, 70_000])
def test_a_log_that_grew_is_consistent(old: int, big_log: BigLog, tiles: Path, key: VerifierKey):
    check_consistency(at(big_log, old, key), at(big_log, 70_000, key), open_source(str(tiles)))


def test_the_proof_is_that_of_the_definition(big_log: BigLog, tiles: Path):
    tree = TileTree(open_source(str(tiles)), 1000)
    for old in (0, 1, 3, 255, 256, 300, 512, 999, 1000):
        assert tree.consistency_proof(old) == big_log.tree.proof(old, 1000)
    assert tree.root() == big_log.tree.mth(0, 1000)
    assert TileTree(open_source(str(tiles)), 0).root() == big_log.tree.mth(0, 0)


def test_equal_sizes_need_no_tiles(big_log: BigLog, key: VerifierKey):
    check_consistency(at(big_log, 600, key), at(big_log, 600, key), None)


def test_a_fork_of_the_same_size_is_named(big_log: BigLog, fork: BigLog, key: VerifierKey):
    with pytest.raises(Broken, match="^fork: the log signed two different trees with 600 entries$"):
        check_consistency(at(fork, 600, key), at(big_log, 600, key), None)


@pytest.mark.parametrize("old", [301, 512, 600])
def test_a_fork_of_another_size_is_named(old: int, big_log: BigLog, fork: BigLog, tiles: Path, key: VerifierKey):
    with pytest.raises(Broken, match=f"^fork: the log with 1000 entries does not extend the log with {old} entries$"):
        check_consistency(at(fork, old, key), at(big_log, 1000, key), open_source(str(tiles)))


def test_a_rollback_is_named(big_log: BigLog, tiles: Path, key: VerifierKey):
    with pytest.raises(Broken, match="^rollback: the earlier checkpoint has 1000 entries, and the later one only 600$"):
        old, new = at(big_log, 1000, key), at(big_log, 600, key)
        check_consistency(old, replace(new, time=old.time), open_source(str(tiles)))


def test_a_newer_checkpoint_is_not_a_rollback(big_log: BigLog, key: VerifierKey):
    old, new = replace(at(big_log, 1000, key), time=2), replace(at(big_log, 600, key), time=1)
    with pytest.raises(Unusable, match="^the checkpoint to compare with is the newer one"):
        check_consistency(old, new, None)


def test_tiles_of_another_log_are_unusable(big_log: BigLog, fork: BigLog, tiles: Path, key: VerifierKey):
    with pytest.raises(Unusable, match="^the tiles are not those of the checkpoint with 1000 entries$"):
        check_consistency(at(fork, 600, key), at(fork, 1000, key), open_source(str(tiles)))


def test_tiles_are_needed_for_different_sizes(big_log: BigLog, tmp_path: Path, key: VerifierKey):
    checkpoints = at(big_log, 600, key), at(big_log, 1000, key)
    with pytest.raises(Unusable, match="pass the log's URL or folder of tiles with --log"):
        check_consistency(*checkpoints, None)
    with pytest.raises(Unusable, match="the log has no tile tile/"):
        check_consistency(*checkpoints, open_source(str(tmp_path)))
    with pytest.raises(Unusable, match="neither a URL nor a folder"):
        open_source(str(tmp_path / "missing"))


def test_a_tile_of_the_wrong_size_is_unusable(big_log: BigLog, tmp_path: Path, key: VerifierKey):
    big_log.tree.write_tiles(tmp_path, 1000)
    tile = tmp_path / "tile/0/003.p/232"
    tile.write_bytes(tile.read_bytes()[:-1])
    with pytest.raises(Unusable, match="tile tile/0/003 has 7423 bytes and must have 7424"):
        check_consistency(at(big_log, 600, key), at(big_log, 1000, key), open_source(str(tmp_path)))


def test_a_tile_that_cannot_be_read_is_unusable(big_log: BigLog, tmp_path: Path, key: VerifierKey):
    (tmp_path / "tile/1/000.p/3").mkdir(parents=True)
    with pytest.raises(Unusable, match="Is a directory"):
        check_consistency(at(big_log, 600, key), at(big_log, 1000, key), open_source(str(tmp_path)))


def test_a_full_tile_serves_when_the_partial_one_is_gone(big_log: BigLog, tmp_path: Path, key: VerifierKey):
    big_log.tree.write_tiles(tmp_path, 65_536)
    assert not (tmp_path / "tile/1/000.p").exists()
    check_consistency(at(big_log, 300, key), at(big_log, 512, key), open_source(str(tmp_path)))


@pytest.fixture
def served(tiles: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path.startswith("/broken/"):
                self.send_error(500)
            else:
                super().do_GET()

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tiles))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_tiles_are_fetched(served: str, big_log: BigLog, fork: BigLog, key: VerifierKey):
    check_consistency(at(big_log, 600, key), at(big_log, 70_000, key), open_source(f"{served}/"))
    with pytest.raises(Broken, match="^fork: "):
        check_consistency(at(fork, 600, key), at(big_log, 70_000, key), open_source(served))


@pytest.mark.parametrize(
    ("path", "message"), [("/nothing", "the log has no tile"), ("/broken/log", "/broken/log/tile/.*: status 500")]
)
def test_tiles_that_are_not_served_are_unusable(
    path: str, message: str, served: str, big_log: BigLog, key: VerifierKey
):
    with pytest.raises(Unusable, match=message):
        check_consistency(at(big_log, 600, key), at(big_log, 1000, key), open_source(served + path))


def test_a_server_that_is_down_is_unusable(big_log: BigLog, key: VerifierKey):
    with pytest.raises(Unusable, match="http://127.0.0.1:1/tile/"):
        check_consistency(at(big_log, 600, key), at(big_log, 1000, key), open_source("http://127.0.0.1:1"))


def test_paths_of_tiles():
    assert tile_path(0, 1_234_067) == "tile/0/x001/x234/067"
    assert tile_path(3, 0) == "tile/3/000"
    assert tile_path(1, 1000) == "tile/1/x001/000"
