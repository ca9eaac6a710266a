"""Builds an archived month whose manifest fits to what it has, even to what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import zstandard
from log_builder import ORIGIN, Signer, Tree, b64, sha256

VKEY = Signer().vkey
FIRST, LAST, SIZE = 250, 700, 850
MONTH = Path("202601")


def leaf(index: int) -> bytes:
    return b'{"index":%d,"record":{"id":"log_%d"},"streams":null}' % (index, index)


def line(index: int, /, **changes: Any) -> dict[str, Any]:
    opened = {"secret": "00" * 16, "opening": "[[1],null,null]", "sealed": None}
    return {"index": index, "month": 202601, "entry": leaf(index).decode(), **opened, **changes}


def write_lines(name: str, lines: list[Any], month: Path = MONTH) -> dict[str, Any]:
    data = b"".join(json.dumps(one).encode() + b"\n" for one in lines)
    return write(name, zstandard.ZstdCompressor(write_checksum=True).compress(data), month)


def write(name: str, data: bytes, month: Path = MONTH) -> dict[str, Any]:
    (month / name).write_bytes(data)
    return {"name": name, "size": len(data), "sha256": sha256(data).hex()}


def tile(tree: Tree, level: int, number: int, width: int) -> dict[str, Any]:
    below = 256**level
    hashes = [tree.mth((256 * number + one) * below, (256 * number + one + 1) * below) for one in range(width)]
    return {"level": level, "number": number, "hashes": b64(b"".join(hashes))}


SPANS = [(250, 255), (256, 511), (512, 700)]


def build(
    changed: dict[int, dict[str, Any]] | None = None,
    drop: int | None = None,
    month: Path = MONTH,
    spans: list[tuple[int, int]] = SPANS,
) -> None:
    """Write a month whose manifest fits to what it has, even to what is wrong."""
    month.mkdir(exist_ok=True)
    tree = Tree([leaf(index) for index in range(SIZE)])
    lines = {index: line(index, **(changed or {}).get(index, {})) for index in range(FIRST, LAST + 1)}
    lines.pop(drop or -1, None)
    objects = [
        write_lines(f"entries-{low:012}.jsonl.zst", [lines[one] for one in range(low, high + 1) if one in lines], month)
        for low, high in spans
    ]
    places = [(0, 0, 256), (0, 1, 256), (0, 2, 256), (0, 3, 82), (1, 0, 3)]
    tiles = write_lines("tiles.jsonl.zst", [tile(tree, *place) for place in places], month)
    text = f"{ORIGIN}\n{SIZE}\n{b64(tree.mth(0, SIZE))}\n"
    checkpoint = write("checkpoint", f"{text}\n{Signer().sign(text)}".encode(), month)
    manifest = {"format": "agentgate-archive/1", "key": VKEY, "month": 202601, "first": FIRST, "last": LAST}
    write_manifest({**manifest, "objects": objects, "tiles": tiles, "checkpoint": checkpoint}, month)


def write_manifest(manifest: dict[str, Any], month: Path = MONTH) -> None:
    (month / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def read_manifest() -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((MONTH / "manifest.json").read_text())
    return manifest
