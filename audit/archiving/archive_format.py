"""The files of an archived month, and how an entry is written in them (docs/evidence-formats.md).

    <month>/entries-<first index>.jsonl.zst   up to 4096 entries and 16 MiB, one per line
    <month>/tiles.jsonl.zst                   the tiles of the tree between these entries and the checkpoint's root
    <month>/checkpoint                        a signed note
    <month>/manifest.json                     all of these, with their digests

Each line has everything that the row in the database had, so the row can be made again.
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError

from audit.entries.drafts import organizations_of
from audit.entries.packing import pack
from audit.entries.parts import SECRET_BYTES, root
from audit.entries.records import decode_opening
from audit.models import Entry
from audit.sequencing import postings
from audit.sequencing.log import leaf_of
from audit.sequencing.tree import TILE_HEIGHT, TILE_WIDTH, split, widths

FORMAT = "agentgate-archive/1"
LEVEL = 9
# An entry has at most `journal.ENTRY_BYTES`, and in a line, which is JSON in JSON, at most twice as many.
MAX_LINE_BYTES = 8 * 1024 * 1024
# Of the lines of an object, which the writer and the readers keep. A segment of entries usually has 4 MB.
MAX_OBJECT_BYTES = 16 * 1024 * 1024
# What readers take: a former version wrote whole segments up to this, and what it has archived is nowhere else.
MAX_READ_BYTES = 256 * 1024 * 1024
BYTES_PER_READ = 1024 * 1024
# Of our level, 4 MiB are enough.
MAX_WINDOW_BYTES = 8 * 1024 * 1024


class Broken(ValueError):
    """The archive is damaged or incomplete. `index` is the first entry that is wrong, if it is known."""

    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message if index is None else f"index {index}: {message}")
        self.index = index


class Span(NamedTuple):
    """A stretch of entries, both ends included."""

    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1


class TilePlace(NamedTuple):
    """A tile of the tree at some size, with the number of its hashes."""

    level: int
    number: int
    width: int

    def __str__(self) -> str:
        return f"{self.level}/{self.number}"


def name_of(month: int, file: str) -> str:
    return f"{month}/{file}"


def entries_file(first: int) -> str:
    return f"entries-{first:012}.jsonl.zst"


def segment_of(index: int) -> Span:
    """Return the segment of the log that has this entry. All entries of an object are in one."""
    first = index - index % postings.SEGMENT
    return Span(first, first + postings.SEGMENT - 1)


def covering_tiles(first: int, last: int, size: int) -> list[TilePlace]:
    """Return the tiles of a tree of this size that lead from these leaves to its root, in ascending order."""
    found = set()
    for level, (edge, edge_width) in enumerate(widths(size)):
        shift = TILE_HEIGHT * (level + 1)
        for number in range(first >> shift, (last >> shift) + 1):
            width = min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - number * TILE_WIDTH)
            found.update([TilePlace(level, number, width)] if width > 0 else [])
        found.update([TilePlace(level, edge, edge_width)] if edge_width else [])
    return sorted(found)


def encode_entry(entry: Entry) -> bytes:
    """Return an entry as a line. Raises `Broken` if its columns were damaged, or for a line that readers refuse."""
    opening = bytes(entry.opening)
    try:
        line = orjson.dumps(
            {
                "index": entry.leaf_index,
                "month": entry.month,
                "entry": leaf_of(entry).decode(),
                "secret": opening[:SECRET_BYTES].hex(),
                "opening": opening[SECRET_BYTES:].decode(),
                "sealed": None if entry.sealed is None else b64encode(bytes(entry.sealed)).decode(),
            }
        )
    except ValueError as error:
        raise Broken(f"the row is damaged: {error}", entry.leaf_index) from error
    if len(line) > MAX_LINE_BYTES:
        raise Broken("the entry is too long", entry.leaf_index)
    return line


def decode_entry(line: bytes) -> Entry:
    """Return the entry of a line. It is not saved. Raises `Broken` unless its parts fit together."""
    try:
        found = orjson.loads(line)
        entry = _make_entry(found)
        leaf = leaf_of(entry).decode()
        withheld = root(decode_opening(entry.opening)[0].withheld_disclosures())
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise Broken(f"Not an entry: {error!r}") from error
    if leaf != found["entry"] or withheld != entry.content["withheld"]:
        raise Broken("the entry does not match what opens its parts", entry.leaf_index)
    return entry


def compress(lines: Iterable[bytes]) -> bytes:
    return ZstdCompressor(level=LEVEL, write_checksum=True).compress(b"".join([line + b"\n" for line in lines]))


def decompress(data: bytes) -> list[bytes]:
    """Return the lines of an object. Raises `Broken`, however much it would expand to."""
    try:
        plain: bytes = _decompressor().stream_reader(data).read(MAX_READ_BYTES + 1)
    except ZstdError as error:
        raise Broken(f"Not zstd: {error}") from error
    if len(plain) > MAX_READ_BYTES:
        raise Broken("it is too long")
    if not plain.endswith(b"\n"):
        raise Broken("the last line is cut")
    return plain[:-1].split(b"\n")


def lines_of(file: Any) -> Iterator[bytes]:
    """Yield the lines of a compressed file one by one, in bounded memory, however much it would expand to.

    Raises `Broken`. The digest of the file must have been checked before.
    """
    rest = b""
    try:
        reader = _decompressor().stream_reader(file)
        while chunk := reader.read(BYTES_PER_READ):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
            if len(rest) > MAX_LINE_BYTES:
                raise Broken("a line is too long")
    except ZstdError as error:
        raise Broken(f"Not zstd: {error}") from error
    if rest:
        raise Broken("the last line is cut")


def _decompressor() -> ZstdDecompressor:
    return ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)


def encode_tile(place: TilePlace, hashes: bytes) -> bytes:
    return orjson.dumps({"level": place.level, "number": place.number, "hashes": b64encode(hashes).decode()})


def decode_tile(line: bytes) -> tuple[TilePlace, list[bytes]]:
    """Return a tile of a line. Raises `Broken`."""
    try:
        found = orjson.loads(line)
        hashes = split(b64decode(found["hashes"], validate=True))
        return TilePlace(found["level"], found["number"], len(hashes)), hashes
    except (ValueError, TypeError, LookupError) as error:
        raise Broken(f"Not a tile: {error!r}") from error


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256_of(file: Any) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()


def encode_manifest(manifest: dict[str, Any]) -> bytes:
    return orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _make_entry(found: dict[str, Any]) -> Entry:
    leaf: bytes = found["entry"].encode()
    body = _body_of(leaf, found["index"])
    content = orjson.loads(body)
    opening = bytes.fromhex(found["secret"]) + found["opening"].encode()
    withheld = decode_opening(opening)[0].withheld if content["withheld"] else {}
    entry = Entry(
        id=content["id"],
        leaf_index=found["index"],
        month=found["month"],
        timestamp=datetime.fromisoformat(content["timestamp"]),
        event=content["event"],
        outcome=content["outcome"],
        user_id=content["userId"],
        agent_id=content["agentId"],
        consent_id=content["consentId"],
        organizations="".join([f"{one} " for one in organizations_of(content, withheld)]),
        record=pack(body),
        opening=opening,
        sealed=None if found["sealed"] is None else b64decode(found["sealed"], validate=True),
    )
    entry.__dict__ |= {"body": body, "content": content}  # what the properties would unpack and parse again
    entry._state.adding = False  # so that it cannot be saved
    return entry


def _body_of(leaf: bytes, index: int) -> bytes:
    """Return the record in a leaf, byte by byte as it was hashed."""
    head, middle = b'{"index":%d,"record":' % index, b',"streams":'
    end = leaf.rindex(middle)
    if not leaf.startswith(head):
        raise ValueError("The index is another one.")
    return leaf[len(head) : end]
