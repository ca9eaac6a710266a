"""What a file below `BACKUP_DIR` is: a backup of this kind of database, a part of one, or something else.

That is read from its content, not from its name: a dump by `pg_dump` or `pg_dumpall`, or a copy of the SQLite file, by
itself, in a tar, or compressed. Of a compressed file and of one in a tar, only the beginning is read.
"""

import bz2
import gzip
import lzma
import sqlite3
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from enum import StrEnum
from functools import lru_cache
from io import BufferedReader, RawIOBase
from itertools import islice
from pathlib import Path
from typing import IO, Any

from django.db import connection
from zstandard import ZstdDecompressor, ZstdError

START, HEAD, MAX_READ, MAX_MEMBERS = 100, 4 * 2**20, 64 * 2**20, 100
TABLE = b"audit_journal"
SQLITE = b"SQLite format 3\0"
DUMP, TEXT = b"PGDMP", b"-- PostgreSQL database"
CUSTOM = 1
# How a dump with rows, and not only with tables, says that it has some.
ROWS = (b"TABLE DATA", b"\nCOPY ", b"\nINSERT INTO ")
ENCRYPTED_NAMES = (".age", ".gpg", ".pgp", ".asc", ".enc")
ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, ZstdError)
COMPRESSED: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"\x28\xb5\x2f\xfd": lambda file: ZstdDecompressor().stream_reader(file, read_across_frames=True),
}


class Kind(StrEnum):
    """What a file is. Of an encrypted one, only its name says that it might be a backup."""

    BACKUP = "backup"
    INCOMPLETE = "incomplete"
    ENCRYPTED = "encrypted"
    OTHER = "other"


def kind_of(path: Path) -> Kind:
    """Return what the file is. One that cannot be read is nothing that could be restored."""
    try:
        found = path.stat()
        return _kind(path, found.st_size, found.st_mtime_ns, connection.vendor)
    except OSError:
        return Kind.OTHER


@lru_cache(maxsize=1024)
def _kind(path: Path, size: int, changed_at: int, vendor: str) -> Kind:
    """Remember the answer until the file changes: each scrape of the metrics asks for it."""
    if not size:
        return Kind.INCOMPLETE
    with path.open("rb") as file:
        content = _Content(_decompressed(file))
        if _holds_backup(BufferedReader(content, 2**16), vendor):
            return Kind.INCOMPLETE if content.is_damaged or not _is_whole(path, size) else Kind.BACKUP
    return Kind.ENCRYPTED if path.suffix in ENCRYPTED_NAMES else Kind.OTHER


def _decompressed(file: IO[bytes]) -> Any:
    start = file.read(8)
    file.seek(0)
    return next((opened(file) for magic, opened in COMPRESSED.items() if start.startswith(magic)), file)


class _Content(RawIOBase):
    """The beginning of a file, up to where it is damaged. A small file can be compressed from petabytes."""

    def __init__(self, file: Any) -> None:
        self._file, self._left, self.is_damaged = file, MAX_READ, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._read(min(len(buffer), self._left))
        self._left -= len(found)
        buffer[: len(found)] = found
        return len(found)

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read1(size)
        except ERRORS:
            self.is_damaged = True
            return b""


def _holds_backup(content: BufferedReader, vendor: str) -> bool:
    if content.peek(512)[257:262] != b"ustar":
        return _is_backup(content, vendor)
    with suppress(tarfile.TarError):
        return any(_is_backup(member, vendor) for member in _members(content))
    return False


def _members(content: IO[bytes]) -> Iterator[IO[bytes]]:
    with tarfile.open(fileobj=content, mode="r|") as archive:
        yield from filter(None, map(archive.extractfile, islice(archive, MAX_MEMBERS)))


def _is_backup(content: IO[bytes], vendor: str) -> bool:
    """Return whether the content begins as a backup does that has our tables and their rows."""
    head = content.read(START)
    if not (head.startswith(SQLITE) if vendor == "sqlite" else head.startswith(DUMP) or TEXT in head):
        return False
    head += content.read(HEAD)
    return TABLE in head and (head.startswith(SQLITE) or any(rows in head for rows in ROWS))


def _is_whole(path: Path, size: int) -> bool:
    """Return whether a file that is neither compressed nor a tar has an end, and a copy of SQLite's file opens."""
    with path.open("rb") as file:
        head = file.read(100)
        file.seek(max(0, size - 1000))
        tail = file.read()
    if head.startswith(SQLITE):
        return size == _pages(head) and _opens(path)
    if head.startswith(DUMP) and head[10] == CUSTOM:
        return tail.endswith(bytes(5))  # the end of the rows of the last table
    return TEXT not in head or b"dump complete" in tail


def _pages(head: bytes) -> int:
    """Return the size that the header of an SQLite file states."""
    page = int.from_bytes(head[16:18])
    return (65536 if page == 1 else page) * int.from_bytes(head[28:32])


def _opens(path: Path) -> bool:
    """Return whether SQLite reads the file, without a lock and without writing a file beside it."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            database.execute("SELECT 1 FROM accounts_user, audit_journal, django_migrations LIMIT 1").fetchall()
            (migrated,) = database.execute("SELECT count(*) FROM django_migrations").fetchone()
    except sqlite3.DatabaseError:
        return False
    return bool(migrated)
