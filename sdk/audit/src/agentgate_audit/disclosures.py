"""Parts of an entry that not every reader may see. The entry itself has only a root for each group of parts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from .errors import Broken, quote
from .strict_json import encode, parse_json

GROUPS = ("personal", "withheld", "streams")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SALT = re.compile(r"[0-9a-f]{32}")


class Part(NamedTuple):
    name: str
    value: Any


def root_of_parts(digests: Sequence[bytes]) -> str:
    """Return the root of a group, in hexadecimal."""
    return hashlib.sha256(b"".join(digests)).hexdigest()


def open_group(group: str, items: object, root: object) -> list[Part | None]:
    """Return the parts of a group in their order. A part that this reader may not see is None. Raises `Broken`."""
    if not isinstance(items, list) or not items:
        raise Broken(f"the disclosures of {group} are not a list")
    opened = [_open_item(group, item) for item in items]
    if root_of_parts([digest for _, digest in opened]) != root:
        raise Broken(f"the disclosures of {group} do not fit the entry")
    return [part for part, _ in opened]


def read_root(value: object, what: str) -> str | None:
    """Return a group's root, None if the group has no parts. Raises `Broken`."""
    if value is None or (isinstance(value, str) and _DIGEST.fullmatch(value)):
        return value
    raise Broken(f"{what} is not a root")


def _open_item(group: str, item: object) -> tuple[Part | None, bytes]:
    if isinstance(item, str):
        data = encode(item, f"a disclosure of {group}")
        return _parse_part(group, data), hashlib.sha256(data).digest()
    digest = item.get("digest") if isinstance(item, dict) and len(item) == 1 else None
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise Broken(f"a disclosure of {group} is neither a string nor a digest")
    return None, bytes.fromhex(digest)


def _parse_part(group: str, data: bytes) -> Part:
    try:
        found = parse_json(data)
    except Broken as error:
        raise error.at(f"a disclosure of {group}") from None
    match found:
        case [str(salt), str(name), value] if _SALT.fullmatch(salt):
            return Part(name, value)
    raise Broken(f"a disclosure of {group} is not a salt, a name and a value: {quote(found)}")
