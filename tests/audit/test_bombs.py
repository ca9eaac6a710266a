"""What a few kilobytes expand to is bounded, whatever they say of themselves."""

import io
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from zstandard import FORMAT_ZSTD1_MAGICLESS, ZstdCompressionParameters, ZstdCompressor

from audit.archiving import archive_format
from audit.archiving.archive_format import Broken, compress, decompress, lines_of
from audit.entries.packing import PackingBroken, pack, unpack
from tests.shared import cases

MEBIBYTE = 1 << 20


def bomb(mebibytes: int, *, states_size: bool, **options: int) -> bytes:
    parameters = ZstdCompressionParameters.from_level(3, write_content_size=states_size, **options)
    if states_size:
        return ZstdCompressor(compression_params=parameters).compress(bytes(mebibytes * MEBIBYTE))
    compressor = ZstdCompressor(compression_params=parameters).compressobj()
    return b"".join([*(compressor.compress(bytes(MEBIBYTE)) for _ in range(mebibytes)), compressor.flush()])


@contextmanager
def bounded_memory(mebibytes: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < mebibytes * MEBIBYTE


@cases("states_size", [True, False])
@cases("read", [decompress, lambda data: list(lines_of(io.BytesIO(data)))], ids=["object", "tiles"])
def test_a_file_of_the_archive(
    read: Callable[[bytes], object], states_size: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_format, "MAX_READ_BYTES", 16 * MEBIBYTE)
    data = bomb(200, states_size=states_size)
    with bounded_memory(80), pytest.raises(Broken, match="too long"):
        read(data)


@cases("states_size", [True, False])
def test_a_record(states_size: bool) -> None:
    data = b"\x01" + bomb(200, states_size=states_size, format=FORMAT_ZSTD1_MAGICLESS)
    with bounded_memory(80), pytest.raises(PackingBroken):
        unpack(data)


def test_what_is_written_can_be_read() -> None:
    lines = [b"a" * 5000, b"", b"b"]
    assert decompress(compress(lines)) == list(lines_of(io.BytesIO(compress(lines)))) == lines
    assert unpack(pack(b"x" * 5_000_000)) == b"x" * 5_000_000
