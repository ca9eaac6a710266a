"""Check an archived month: every entry, every tile, and the root in the signed checkpoint."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from .archive_tree import WIDTH, Place, check_tiles, tile_places
from .checkpoint import Checkpoint, open_checkpoint
from .encoding import decode_base64
from .errors import Broken, Unusable, quote
from .export import open_file
from .files import read_small
from .merkle import hash_leaf
from .note import VerifierKey
from .strict_json import MAX_LINE, encode, parse_json, read_integer, read_object, read_text

FORMAT = "agentgate-archive/1"
MANIFEST, CHECKPOINT, TILES = "manifest.json", "checkpoint", "tiles.jsonl.zst"
HASH = 32
CHUNK = 1 << 20
MAX_MANIFEST = 1 << 26  # of 300,000 files, which have a billion entries
MAX_WINDOW = 1 << 23  # of zstd: more memory than the server's level needs
_FILE = {"name", "sha256", "size"}
_MEMBERS = {"checkpoint", "first", "format", "key", "last", "month", "objects", "tiles"}
_OBJECT = re.compile(r"entries-([0-9]{12,18})\.jsonl\.zst")


@dataclass(frozen=True)
class Archive:
    """A month that holds."""

    month: int
    first: int
    last: int
    checkpoint: Checkpoint


@dataclass(frozen=True)
class _File:
    """A file as the manifest describes it."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class _Manifest:
    month: int
    first: int
    last: int
    objects: list[tuple[int, int, _File]]  # with the first and the last index of each
    tiles: _File
    checkpoint: _File


def verify_archive(folder: Path, key: VerifierKey) -> Archive:
    """Return the month in the folder. Raises `Broken` with the first bad index, and `Unusable`."""
    _find_zstandard()
    manifest = _read_manifest(folder, key)
    checkpoint = _read_checkpoint(folder, manifest, key)
    places = tile_places(manifest.first, manifest.last, checkpoint.size)
    check_tiles(_read_tiles(folder, manifest.tiles), places, checkpoint.size, checkpoint.root)
    leaves = _leaf_hashes(folder, manifest)
    for first, last, described in manifest.objects:
        _check_object(folder, manifest.month, (first, last), described, leaves)
    return Archive(manifest.month, manifest.first, manifest.last, checkpoint)


def _find_zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise Unusable("archives need zstandard: install it, or this package with the extra `archive`") from None
    return zstandard


def _read_manifest(folder: Path, key: VerifierKey) -> _Manifest:
    path = folder / MANIFEST
    if not path.is_file():
        raise Unusable(f"{folder}: not an archived month, it has no {MANIFEST}")
    try:
        return _parse_manifest(read_small(path, MAX_MANIFEST), key)
    except Broken as error:
        raise error.at(MANIFEST) from None


def _parse_manifest(data: bytes, key: VerifierKey) -> _Manifest:
    found = read_object(parse_json(data), "it", _MEMBERS)
    if found["format"] != FORMAT:
        raise Broken(f"has the unknown format {quote(found['format'])}")
    if found["key"] != str(key):
        raise Broken("is of a log with another key")
    if json.dumps(found, indent=2, ensure_ascii=False).encode("utf-8", "replace") + b"\n" != data:
        raise Broken("is not in canonical form")
    month, first, last = (read_integer(found[name], name) for name in ("month", "first", "last"))
    files = found["objects"]
    if not isinstance(files, list) or not files or first > last:
        raise Broken("lists no entries")
    objects = _parse_objects(files, first, last)
    return _Manifest(month, first, last, objects, _parse_file(found["tiles"]), _parse_file(found["checkpoint"]))


def _parse_objects(files: list[Any], first: int, last: int) -> list[tuple[int, int, _File]]:
    described = [_parse_file(one) for one in files]
    matches = [_OBJECT.fullmatch(one.name) for one in described]
    firsts = [int(match[1]) for match in matches if match]
    if len(firsts) < len(described) or firsts != sorted(set(firsts)) or firsts[0] != first or firsts[-1] > last:
        raise Broken("does not list the entries in order")
    lasts = [*(one - 1 for one in firsts[1:]), last]
    return list(zip(firsts, lasts, described, strict=True))


def _parse_file(value: Any) -> _File:
    found = read_object(value, "a file", _FILE)
    name, digest = read_text(found["name"], "a name"), read_text(found["sha256"], "a digest")
    if name not in (CHECKPOINT, TILES) and not _OBJECT.fullmatch(name):
        raise Broken(f"has the unknown file {quote(name)}")
    return _File(name, read_integer(found["size"], "a size"), digest)


def _read_checkpoint(folder: Path, manifest: _Manifest, key: VerifierKey) -> Checkpoint:
    with _open(folder, manifest.checkpoint) as file:
        data = file.read(MAX_LINE)
    try:
        _check_digest(hashlib.sha256(data).hexdigest(), len(data), manifest.checkpoint)
        checkpoint = open_checkpoint(data.decode("utf-8"), key)
    except UnicodeDecodeError:
        raise Broken(f"{CHECKPOINT}: is not UTF-8") from None
    except Broken as error:
        raise error.at(CHECKPOINT) from None
    if checkpoint.size <= manifest.last:
        raise Broken(f"{CHECKPOINT}: covers {checkpoint.size} entries, but the month ends with index {manifest.last}")
    return checkpoint


def _read_tiles(folder: Path, described: _File) -> Iterator[tuple[Place, list[bytes]]]:
    for line in _lines(folder, described):
        found = read_object(parse_json(line), "a tile", {"hashes", "level", "number"})
        hashes = decode_base64(read_text(found["hashes"], "the hashes"), "the hashes")
        place = (read_integer(found["level"], "a level"), read_integer(found["number"], "a number"))
        yield place, [hashes[start : start + HASH] for start in range(0, len(hashes), HASH)]


def _leaf_hashes(folder: Path, manifest: _Manifest) -> Iterator[bytes]:
    """Yield the hashes of the month's leaves in the tiles, which are checked."""
    for (level, number), hashes in _read_tiles(folder, manifest.tiles):
        if level:
            return
        for index, one in enumerate(hashes, number * WIDTH):
            if manifest.first <= index <= manifest.last:
                yield one


def _check_object(folder: Path, month: int, span: tuple[int, int], described: _File, leaves: Iterator[bytes]) -> None:
    index, last = span
    try:
        for line in _lines(folder, described):
            if index > last:
                raise Broken("is one entry too many")
            if hash_leaf(_leaf_of(line, index, month)) != next(leaves):
                raise Broken("the entry is not the one in the tree")
            index += 1
        if index <= last:
            raise Broken("the entry is missing")
    except Broken as error:
        raise error.at(f"index {min(index, last)}") from None


def _leaf_of(line: bytes, index: int, month: int) -> bytes:
    """Return the leaf in a line."""
    found = read_object(parse_json(line), "it", {"entry", "index", "month", "opening", "sealed", "secret"})
    if (found["index"], found["month"]) != (index, month):
        raise Broken("another entry is in its place")
    return encode(read_text(found["entry"], "the entry"), "the entry")


def _lines(folder: Path, described: _File) -> Iterator[bytes]:
    """Yield the lines of a compressed file, in bounded memory, however much it would expand to.

    Raises `Broken`, before the first line if it is not the file in the manifest.
    """
    zstandard = _find_zstandard()
    rest = b""
    try:
        with _open(folder, described) as file:
            _check_file(file, described)
            reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(file)
            while chunk := reader.read(CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > MAX_LINE:
                    raise Broken(f"{described.name} has a line that is too long")
                yield from lines
    except zstandard.ZstdError as error:
        raise Broken(f"{described.name} is damaged: {quote(str(error))[1:-1]}") from None
    if rest:
        raise Broken(f"{described.name} ends within a line")


def _check_file(file: BinaryIO, described: _File) -> None:
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
    _check_digest(digest.hexdigest(), size, described)
    file.seek(0)


def _check_digest(digest: str, size: int, described: _File) -> None:
    if (digest, size) != (described.sha256, described.size):
        raise Broken(f"{described.name} is not the file in the manifest")


def _open(folder: Path, described: _File) -> BinaryIO:
    if not (folder / described.name).is_file():
        raise Broken(f"{described.name} is missing")
    return open_file(folder / described.name)
