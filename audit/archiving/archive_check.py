"""Reads an archived month back and checks it: every file, leaf and tile, up to the root in the signed checkpoint."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from django.core.files.storage import Storage

from audit.archiving import archive_format
from audit.archiving.archive_format import Broken, TilePlace
from audit.entries.records import hash_leaf
from audit.models import Archive, Entry, LogKey
from audit.sequencing.log import leaf_of
from audit.sequencing.tree import TILE_HEIGHT, TILE_WIDTH, Edge, root_of, widths
from audit.signing.notes import NoteBroken, Statement, open_checkpoint


def checked_entries(storage: Storage, archive: Archive, keys: Sequence[LogKey]) -> Iterator[list[Entry]]:
    """Yield the entries of each object in turn. All is right only once this ends. Raises `Broken` or `OSError`.

    One of the log's `keys` must be in the manifest, and have signed the checkpoint.
    """
    manifest = _read_manifest(storage, archive)
    statement = _read_checkpoint(storage, archive, manifest, _find_key(manifest, keys))
    tree = _Tree(_tiles(storage, archive, manifest), archive, statement)
    first = archive.first
    for described in manifest["objects"]:
        entries = _read_entries(storage, archive.month, described, first)
        for entry in entries:
            tree.check_leaf(entry)
        yield entries
        first += len(entries)
    if first != archive.last + 1:
        raise Broken(f"the files end with index {first - 1} instead of {archive.last}")
    tree.check_rest()


def read(storage: Storage, month: int, described: dict[str, Any]) -> bytes:
    """Return the bytes of a file that the manifest describes. Raises `Broken`."""
    data = read_bytes(storage, month, described["name"])
    if archive_format.sha256(data) != described["sha256"]:
        raise Broken(f"{described['name']} was changed")
    return data


def read_bytes(storage: Storage, month: int, file: str) -> bytes:
    """Return the bytes of a file. Raises `Broken` if there is none."""
    try:
        with storage.open(archive_format.name_of(month, file), "rb") as opened:
            return bytes(opened.read())
    except FileNotFoundError as error:
        raise Broken(f"{file} is missing") from error


def _read_manifest(storage: Storage, archive: Archive) -> dict[str, Any]:
    data = read_bytes(storage, archive.month, "manifest.json")
    if archive_format.sha256(data) != archive.manifest:
        raise Broken("manifest.json was changed")
    manifest: dict[str, Any] = orjson.loads(data)
    wanted = {"format": archive_format.FORMAT, "month": archive.month, "first": archive.first, "last": archive.last}
    for name, value in wanted.items():
        if manifest[name] != value:
            raise Broken(f"manifest.json has another {name}")
    return manifest


def _find_key(manifest: dict[str, Any], keys: Sequence[LogKey]) -> LogKey:
    for key in keys:
        if key.verifier_key == manifest["key"]:
            return key
    raise Broken("manifest.json has another key")


def _read_checkpoint(storage: Storage, archive: Archive, manifest: dict[str, Any], key: LogKey) -> Statement:
    note = read(storage, archive.month, manifest["checkpoint"])
    try:
        statement = open_checkpoint(note.decode(), key.origin, bytes(key.public))
    except (NoteBroken, UnicodeDecodeError) as error:
        raise Broken(f"The checkpoint is not valid: {error}") from error
    if statement.size != archive.checkpoint or statement.size <= archive.last:
        raise Broken("The checkpoint does not cover the month")
    return statement


def _read_entries(storage: Storage, month: int, described: dict[str, Any], first: int) -> list[Entry]:
    """Return the entries of an object, which must begin with this one. Raises `Broken`."""
    if described["name"] != archive_format.entries_file(first):
        raise Broken(f"{described['name']} does not begin with this entry", first)
    lines = archive_format.decompress(read(storage, month, described))
    entries = [archive_format.decode_entry(line) for line in lines]
    for index, entry in enumerate(entries, first):
        if (entry.leaf_index, entry.month) != (index, month):
            raise Broken("another entry is in its place", index)
    return entries


def _tiles(storage: Storage, archive: Archive, manifest: dict[str, Any]) -> Iterator[tuple[TilePlace, list[bytes]]]:
    """Yield the tiles one by one: those of a large month do not fit into memory. Check the digest of all first."""
    described = manifest["tiles"]
    try:
        with storage.open(archive_format.name_of(archive.month, described["name"]), "rb") as opened:
            if archive_format.sha256_of(opened) != described["sha256"]:
                raise Broken(f"{described['name']} was changed")
            opened.seek(0)
            yield from map(archive_format.decode_tile, archive_format.lines_of(opened))
    except FileNotFoundError as error:
        raise Broken(f"{described['name']} is missing") from error


class _Tree:
    """The tiles between a month's leaves and the root, taken as they are needed, leaves first."""

    def __init__(self, tiles: Iterator[tuple[TilePlace, list[bytes]]], archive: Archive, statement: Statement) -> None:
        self._tiles = tiles
        self._statement = statement
        self._places = iter(archive_format.covering_tiles(archive.first, archive.last, statement.size))
        self._edges: list[list[bytes]] = [[] for _ in widths(statement.size)]
        self._roots: dict[tuple[int, int], bytes] = {}
        self._current: tuple[TilePlace, list[bytes]] | None = None

    def check_leaf(self, entry: Entry) -> None:
        """Check a leaf against its tile. Call it in the order of the leaves."""
        number, offset = divmod(entry.leaf_index, TILE_WIDTH)
        while self._current is None or self._current[0][:2] != (0, number):
            if self._take() is None:
                raise Broken("the tile of this entry is missing", entry.leaf_index)
        if self._current[1][offset] != hash_leaf(leaf_of(entry)):
            raise Broken("the entry is not the one in the tree", entry.leaf_index)

    def check_rest(self) -> None:
        """Check the tiles above the leaves, up to the root."""
        while self._take() is not None:
            pass
        if next(self._tiles, None) is not None:
            raise Broken("there are more tiles than the tree has")
        if self._roots or Edge(self._statement.size, self._edges).root() != self._statement.root:
            raise Broken("the tiles do not lead to the checkpoint's root")

    def _take(self) -> TilePlace | None:
        """Check that the next tile is the next place's, and that it has the roots of the tiles below."""
        place = next(self._places, None)
        if place is None:
            return None
        self._current = next(self._tiles, None)
        if self._current is None or self._current[0] != place:
            raise Broken(f"tile {place} is missing")
        hashes = self._current[1]
        self._check_children(place, hashes)
        if place.width == TILE_WIDTH:
            self._roots[place.level, place.number] = root_of(hashes)
        if place[:2] == (place.level, self._statement.size >> (TILE_HEIGHT * (place.level + 1))):
            self._edges[place.level] = hashes
        return place

    def _check_children(self, place: TilePlace, hashes: list[bytes]) -> None:
        if place.level == 0:
            return
        first = place.number * TILE_WIDTH
        for offset, one in enumerate(hashes):
            if self._roots.pop((place.level - 1, first + offset), one) != one:
                raise Broken(f"tile {place.level - 1}/{first + offset} is not the one in the tree")
