"""Compression of records and personal data, which are short and alike: zstd with a dictionary.

The first byte names the dictionary, or is 0 for data that is stored as it is. A dictionary is never changed, because
what was packed with it must stay readable; a better one gets the next number (`audit/entries/dictionaries/README.md`).
"""

import threading
from functools import cache
from pathlib import Path

from zstandard import (
    FORMAT_ZSTD1_MAGICLESS,
    ZstdCompressionDict,
    ZstdCompressionParameters,
    ZstdCompressor,
    ZstdDecompressor,
    ZstdError,
    get_frame_parameters,
)

NEWEST = 1
PREFIX = bytes([NEWEST])
MIN_BYTES = 256
LEVEL = 1
FOLDER = Path(__file__).with_name("dictionaries")
# A row of the journal and an entry have at most `journal.ENTRY_BYTES` and a little. More can only be damage.
MAX_BYTES = 16 * 1024 * 1024

_local = threading.local()


class PackingBroken(ValueError):
    """The bytes were damaged, or packed by a newer version."""


def pack(data: bytes) -> bytes:
    """Return the data compressed with the newest dictionary, unless that would save less than it costs.

    Raises `ValueError` for data that `unpack` would refuse.
    """
    if len(data) >= MAX_BYTES:
        raise ValueError(f"Too long to be packed: {len(data)} bytes")
    if len(data) < MIN_BYTES:
        return b"\x00" + data
    try:
        compressor = _local.compressor
    except AttributeError:
        compressor = _local.compressor = _make_compressor()
    packed: bytes = PREFIX + compressor.compress(data)
    return packed


def unpack(packed: bytes | memoryview) -> bytes:
    """Return what was packed. Raises `PackingBroken`."""
    packed = bytes(packed)
    if packed[:1] == b"\x00":
        return packed[1:]
    try:
        decompressor, frame = _decompressors()[packed[0]], packed[1:]
        # A frame that states its length is decompressed to that, whatever the bound.
        if get_frame_parameters(frame, FORMAT_ZSTD1_MAGICLESS).content_size not in range(MAX_BYTES):
            raise PackingBroken("Cannot be unpacked: it does not state its length, or is too long")
        plain: bytes = decompressor.decompress(frame, max_output_size=MAX_BYTES)
    except (IndexError, KeyError, ZstdError) as error:
        raise PackingBroken(f"Cannot be unpacked: {error}") from error
    return plain


def _make_compressor() -> ZstdCompressor:
    parameters = ZstdCompressionParameters.from_level(
        LEVEL, format=FORMAT_ZSTD1_MAGICLESS, write_dict_id=False, write_checksum=False, write_content_size=True
    )
    return ZstdCompressor(dict_data=_dictionary(NEWEST), compression_params=parameters)


def _decompressors() -> dict[int, ZstdDecompressor]:
    """Return a decompressor for each dictionary. They must not be shared by threads."""
    try:
        found: dict[int, ZstdDecompressor] = _local.decompressors
    except AttributeError:
        found = _local.decompressors = {
            number: ZstdDecompressor(dict_data=_dictionary(number), format=FORMAT_ZSTD1_MAGICLESS)
            for number in range(1, NEWEST + 1)
        }
    return found


@cache
def _dictionary(number: int) -> ZstdCompressionDict:
    dictionary = ZstdCompressionDict((FOLDER / f"{number}.dict").read_bytes())
    if number == NEWEST:
        dictionary.precompute_compress(level=LEVEL)
    return dictionary
