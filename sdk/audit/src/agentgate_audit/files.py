"""Read small files and keys from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .checkpoint import Checkpoint, open_checkpoint
from .errors import Broken, Unusable
from .export import open_file
from .note import VerifierKey, parse_key
from .strict_json import MAX_LINE, parse_json


def read_small(path: Path, most: int = MAX_LINE) -> bytes:
    """Return the contents of a file. Raises `Unusable` if it is too large for what it should be."""
    with open_file(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise Unusable(f"{path}: larger than {most} bytes")
    return data


def read_text_file(path: Path) -> str:
    """Return the text of a file as it is, with its line ends. Raises `Unusable`."""
    try:
        return read_small(path).decode("utf-8")
    except UnicodeDecodeError:
        raise Unusable(f"{path}: not UTF-8") from None


def read_json_file(path: Path) -> Any:
    """Return the JSON of a file. Raises `Unusable`."""
    try:
        return parse_json(read_small(path))
    except Broken as error:
        raise Unusable(f"{path}: {error}") from None


def read_key(text: str, kind: int) -> VerifierKey:
    """Return the key that `text` is, or that the file with this name holds. Raises `Unusable`."""
    try:
        return parse_key(text, kind)
    except Unusable:
        if not Path(text).is_file():
            raise
    return parse_key(read_text_file(Path(text)), kind)


def read_checkpoint(path: Path, key: VerifierKey) -> Checkpoint:
    """Return the checkpoint in a file. Raises `Broken` if the log did not sign it."""
    try:
        return open_checkpoint(read_text_file(path), key)
    except Broken as error:
        raise error.at(str(path)) from None
