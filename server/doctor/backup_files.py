"""Tell what a file below `BACKUP_DIR` is: a backup of this kind of database, part of one, or something else.

The content decides, not the name. A backup is a dump by `pg_dump` or `pg_dumpall`, or a copy of the SQLite file: plain,
in a tar or compressed. The doctor reads at most `MAX_READ` of a compressed file or a tar, so it does not know whether a
larger one is complete. No file may keep the doctor from checking the others, or hold up the metrics.
"""

import bz2
import gzip
import lzma
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from enum import StrEnum
from functools import lru_cache
from io import BufferedReader, RawIOBase
from itertools import islice, takewhile
from pathlib import Path
from typing import IO, Any

from django.db import connection
from zstandard import ZstdDecompressor

START, TAIL, CHUNK, HEAD, MAX_READ, MAX_MEMBERS = 100, 1000, 2**16, 4 * 2**20, 64 * 2**20, 100
# SQLite is interrupted after this many steps, because a view in the file may never end.
MAX_STEPS = 1_000_000
OURS = """
    SELECT EXISTS (SELECT 1 FROM django_migrations) AND 3 = (
        SELECT count(*) FROM sqlite_master
        WHERE type = 'table' AND name IN ('accounts_user', 'audit_journal', 'django_migrations')
    )
"""
TABLE = b"audit_journal"
SQLITE = b"SQLite format 3\0"
DUMP, TEXT = b"PGDMP", b"-- PostgreSQL database"
CUSTOM = 1
# What a dump contains if it has rows and not only tables.
ROWS = (b"TABLE DATA", b"\nCOPY ", b"\nINSERT INTO ")
ENCRYPTED_NAMES = (".age", ".gpg", ".pgp", ".asc", ".enc")
COMPRESSED: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"\x28\xb5\x2f\xfd": lambda file: ZstdDecompressor().stream_reader(file, read_across_frames=True),
}


class Kind(StrEnum):
    """What a file is. Only the name of an encrypted file says that it might be a backup."""

    BACKUP = "backup"
    INCOMPLETE = "incomplete"
    ENCRYPTED = "encrypted"
    OTHER = "other"


def kind_of(path: Path) -> Kind:
    """Return what the file is. A file that cannot be read cannot be restored."""
    try:
        found = path.stat()
        return _kind(path, found.st_size, found.st_mtime_ns, connection.vendor)
    except OSError:
        return Kind.OTHER


@lru_cache(maxsize=1024)
def _kind(path: Path, size: int, changed_at: int, vendor: str) -> Kind:
    """Cache the answer until the file changes, because each scrape of the metrics asks for it."""
    if not size:
        return Kind.INCOMPLETE
    with path.open("rb") as file:
        content = _Content(_decompressed(file))
        has_end = _find_backup(BufferedReader(content, CHUNK), vendor)
        if has_end is not None:
            is_whole = not content.is_damaged and (has_end or content.is_spent) and _is_whole(path, size)
            return Kind.BACKUP if is_whole else Kind.INCOMPLETE
    return Kind.ENCRYPTED if path.suffix in ENCRYPTED_NAMES else Kind.OTHER


def _decompressed(file: IO[bytes]) -> Any:
    start = file.read(8)
    file.seek(0)
    return next((opened(file) for magic, opened in COMPRESSED.items() if start.startswith(magic)), file)


class _Content(RawIOBase):
    """The beginning of a file, up to where it is damaged. A small file can decompress to petabytes."""

    def __init__(self, file: Any) -> None:
        self._file, self._left, self.is_damaged = file, MAX_READ, False

    @property
    def is_spent(self) -> bool:
        return not self._left

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
        except Exception:
            self.is_damaged = True
            return b""


def _find_backup(content: BufferedReader, vendor: str) -> bool | None:
    """Return whether the content, perhaps a tar, has a complete backup, or None if it has none."""
    if content.peek(512)[257:262] != b"ustar":
        return _read_backup(content, vendor)
    with suppress(Exception):  # tarfile raises more than its own errors
        found = (_read_backup(member, vendor) for member in _members(content))
        return next((has_end for has_end in found if has_end is not None), None)
    return None


def _members(content: IO[bytes]) -> Iterator[IO[bytes]]:
    with tarfile.open(fileobj=content, mode="r|") as archive:
        yield from filter(None, map(archive.extractfile, islice(archive, MAX_MEMBERS)))


def _read_backup(content: IO[bytes], vendor: str) -> bool | None:
    """Return whether a backup is complete, or None if the content is not one with our tables and rows."""
    head = tail = content.read(START)
    if not (head.startswith(SQLITE) if vendor == "sqlite" else head.startswith(DUMP) or TEXT in head):
        return None
    size = len(head)
    for chunk in _chunks(content):
        head += chunk if len(head) < HEAD else b""
        size, tail = size + len(chunk), (tail + chunk)[-TAIL:]
    is_backup = TABLE in head and (head.startswith(SQLITE) or any(rows in head for rows in ROWS))
    return _has_end(head, size, tail) if is_backup else None


def _chunks(content: IO[bytes]) -> Iterator[bytes]:
    """Yield the content up to where a tar is cut off. A sparse member can claim petabytes."""
    with suppress(Exception):
        yield from takewhile(bool, (content.read(CHUNK) for _ in range(MAX_READ // CHUNK)))


def _is_whole(path: Path, size: int) -> bool:
    """Return whether a file that is neither compressed nor a tar is complete. SQLite must also open its copy."""
    with path.open("rb") as file:
        head = file.read(START)
        file.seek(max(0, size - TAIL))
        tail = file.read()
    return _has_end(head, size, tail) and (not head.startswith(SQLITE) or _opens(path))


def _has_end(head: bytes, size: int, tail: bytes) -> bool:
    if head.startswith(SQLITE):
        return size == _pages(head)
    if head.startswith(DUMP) and head[10] == CUSTOM:
        return tail.endswith(bytes(5))  # the end of the rows of the last table
    return TEXT not in head or b"dump complete" in tail


def _pages(head: bytes) -> int:
    """Return the size stated in the header of an SQLite file."""
    page = int.from_bytes(head[16:18])
    return (65536 if page == 1 else page) * int.from_bytes(head[28:32])


def _opens(path: Path) -> bool:
    """Return whether SQLite can read the file, without taking a lock or writing a file next to it."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            database.set_progress_handler(lambda: True, MAX_STEPS)
            ((is_ours,),) = database.execute(OURS).fetchall()
    except sqlite3.DatabaseError:
        return False
    return bool(is_ours)
