"""Archived months: what holds, and that everything else is named."""

from __future__ import annotations

import builtins
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import zstandard
from archive_builder import MONTH, SIZE, VKEY, build, leaf, read_manifest, tile, write, write_lines, write_manifest
from log_builder import ORIGIN, Signer, Tree, b64

from agentgate_audit import archive
from agentgate_audit.cli import main
from agentgate_audit.strict_json import MAX_LINE


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    build()


def run(capsys: pytest.CaptureFixture[str], key: str = VKEY) -> tuple[int, str]:
    status = main(["archive", str(MONTH), "--key", key])
    printed = capsys.readouterr()
    return status, printed.out + printed.err


def test_a_month_holds(capsys: pytest.CaptureFixture[str]):
    assert run(capsys) == (
        0,
        "Everything holds.\nmonth        202601\nentries      451, index 250 to 700\n"
        "log          gate.example.com/api/v1/audit, 850 entries\n",
    )


def test_a_month_of_long_entries_has_more_files(capsys: pytest.CaptureFixture[str]):
    build(spans=[(250, 255), (256, 256), (257, 400), (401, 511), (512, 700)])
    assert run(capsys)[0] == 0
    assert len(read_manifest()["objects"]) == 5


def test_a_manifest_can_be_longer_than_a_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    manifest = read_manifest()
    write_manifest({**manifest, "objects": manifest["objects"] * (MAX_LINE // 400)})
    assert (MONTH / "manifest.json").stat().st_size > MAX_LINE
    assert run(capsys) == (1, "manifest.json: does not list the entries in order\n")
    monkeypatch.setattr(archive, "MAX_MANIFEST", MAX_LINE)
    assert run(capsys)[0] == 2


# So many bytes of each file are changed, and with the variable more, as `./dev soak` does.
PLACES = 200 if os.environ.get("EVERY_BYTE") else 40


@pytest.mark.parametrize(
    "file",
    [
        *(f"entries-{first:012}.jsonl.zst" for first in (250, 256, 512)),
        "tiles.jsonl.zst",
        "checkpoint",
        "manifest.json",
    ],
)
def test_every_flipped_byte_is_found(file: str, capsys: pytest.CaptureFixture[str]):
    path = MONTH / file
    intact = path.read_bytes()
    for place in range(0, len(intact), max(1, len(intact) // PLACES)):
        path.write_bytes(intact[:place] + bytes([intact[place] ^ 1]) + intact[place + 1 :])
        status, text = run(capsys)
        assert status == 1, (place, text)
        assert len(text.splitlines()) == 1


def test_personal_data_is_compared_with_the_manifest_only(capsys: pytest.CaptureFixture[str]):
    build({300: {"sealed": "bm90IGVuY3J5cHRlZA=="}})
    assert run(capsys)[0] == 0, "whether it opens, only the server knows"
    path = MONTH / "entries-000000000256.jsonl.zst"
    path.write_bytes(zstandard.compress(zstandard.decompress(path.read_bytes()).replace(b"bm90", b"bm91")))
    assert run(capsys) == (1, f"index 256: {path.name} is not the file in the manifest\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"entry": leaf(301).decode()}, "index 300: the entry is not the one in the tree"),
        ({"index": 301}, "index 300: another entry is in its place"),
        ({"month": 202602}, "index 300: another entry is in its place"),
        ({"more": 1}, "index 300: it has the unknown member 'more'"),
        ({"entry": None}, "index 300: the entry is not a string"),
    ],
)
def test_a_false_entry_is_named(change: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]):
    build({300: change})
    assert run(capsys) == (1, f"{message}\n")


@pytest.mark.parametrize(
    ("dropped", "message"),
    [
        (300, "index 300: another entry is in its place"),
        (511, "index 511: the entry is missing"),
        (700, "index 700: the entry is missing"),
    ],
)
def test_a_missing_entry_is_named(dropped: int, message: str, capsys: pytest.CaptureFixture[str]):
    build(drop=dropped)
    assert run(capsys) == (1, f"{message}\n")


def test_more_entries_than_the_month_has_are_refused(capsys: pytest.CaptureFixture[str]):
    manifest = read_manifest()
    manifest["last"] = 699
    write_manifest(manifest)
    assert run(capsys) == (1, "index 699: is one entry too many\n")


def test_a_tile_of_another_tree_is_named(capsys: pytest.CaptureFixture[str]):
    other = Tree([leaf(index if index != 260 else 0) for index in range(SIZE)])
    good = Tree([leaf(index) for index in range(SIZE)])
    places = [(0, 0, 256), (0, 1, 256), (0, 2, 256), (0, 3, 82), (1, 0, 3)]
    trees = [good, other, good, good, good]
    manifest = read_manifest()
    lines = [tile(one, *place) for one, place in zip(trees, places, strict=True)]
    manifest["tiles"] = write_lines("tiles.jsonl.zst", lines)
    write_manifest(manifest)
    assert run(capsys) == (1, "tile 0/1 is not the one in the tree\n")


@pytest.mark.parametrize("file", ["entries-000000000256.jsonl.zst", "tiles.jsonl.zst", "checkpoint"])
def test_a_missing_file_is_named(file: str, capsys: pytest.CaptureFixture[str]):
    (MONTH / file).unlink()
    status, text = run(capsys)
    assert status == 1
    assert f"{file} is missing" in text


def bomb(mebibytes: int, filling: bytes = b"a") -> bytes:
    """Return a few kilobytes that expand to so much."""
    compressor = zstandard.ZstdCompressor(level=3).compressobj()
    piece = filling * (1 << 20)
    return b"".join([*(compressor.compress(piece) for _ in range(mebibytes)), compressor.flush()])


@pytest.mark.parametrize("filling", [b"a", b"\n"], ids=["one line", "many lines"])
@pytest.mark.parametrize("file", ["entries-000000000256.jsonl.zst", "tiles.jsonl.zst"])
def test_a_bomb_takes_bounded_memory(file: str, filling: bytes, capsys: pytest.CaptureFixture[str]):
    """Even one that the manifest names: who signs the log need not have written the manifest."""
    manifest = read_manifest()
    described = write(file, bomb(300, filling))
    objects = [described if one["name"] == file else one for one in manifest["objects"]]
    tiles = described if file == manifest["tiles"]["name"] else manifest["tiles"]
    write_manifest({**manifest, "objects": objects, "tiles": tiles})
    tracemalloc.start()
    try:
        status, _ = run(capsys)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert status == 1
    assert peak < 100 << 20


def test_a_file_that_is_not_the_one_in_the_manifest_is_not_expanded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    write("tiles.jsonl.zst", bomb(1))
    monkeypatch.setattr(zstandard, "ZstdDecompressor", None)
    assert run(capsys) == (1, "tiles.jsonl.zst is not the file in the manifest\n")


def test_another_key_is_refused(capsys: pytest.CaptureFixture[str]):
    assert run(capsys, Signer(seed=9).vkey) == (1, "manifest.json: is of a log with another key\n")


def test_a_checkpoint_that_ends_before_the_month_is_refused(capsys: pytest.CaptureFixture[str]):
    manifest = read_manifest()
    text = f"{ORIGIN}\n700\n{b64(Tree([leaf(one) for one in range(SIZE)]).mth(0, 700))}\n"
    manifest["checkpoint"] = write("checkpoint", f"{text}\n{Signer().sign(text)}".encode())
    write_manifest(manifest)
    assert run(capsys) == (1, "checkpoint: covers 700 entries, but the month ends with index 700\n")


def test_a_manifest_cannot_name_files_elsewhere(capsys: pytest.CaptureFixture[str]):
    manifest = read_manifest()
    manifest["tiles"]["name"] = "../tiles.jsonl.zst"
    write_manifest(manifest)
    assert run(capsys) == (1, "manifest.json: has the unknown file '../tiles.jsonl.zst'\n")


def test_another_folder_is_not_an_archive(capsys: pytest.CaptureFixture[str]):
    (MONTH / "manifest.json").unlink()
    assert run(capsys) == (2, "agentgate-audit: 202601: not an archived month, it has no manifest.json\n")


def test_without_zstandard_it_says_what_to_install(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def refuse(name: str, *arguments: Any) -> Any:
        if name == "zstandard":
            raise ImportError
        return original(name, *arguments)

    original = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", refuse)
    status, text = run(capsys)
    assert status == 2
    assert "with the extra `archive`" in text
