"""What verify is asked about one call: some arguments, and digests of all of them and of the definition."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from ..service.requirement import Question
from .config import Amount, Context, Line, Mapped
from .lock import canonical_digest
from .uris import MAX_URI

MAX_PATH = 4096
# Numbers, texts, lists and objects in one call. To canonicalize them holds up all other calls.
MAX_VALUES = 50_000
MAX_TEXT, MAX_TEXTS = 2000, 20
# How JSON Schema says that there are arguments besides `properties`.
_OPEN = ("allOf", "anyOf", "oneOf", "$ref", "patternProperties", "if", "dependentSchemas", "$dynamicRef")
_ESCAPE = re.compile("%[0-9A-Fa-f]{2}")
_UNRESERVED = re.compile("[A-Za-z0-9._~-]")
_ENCODED = re.compile(r"%(u[0-9A-Fa-f]{2})?[0-9A-Fa-f]{2}", re.IGNORECASE)
# The backslash, and what looks like a slash: some systems convert it to one.
_SLASHES = frozenset("\\\u2044\u2215\u2216\u29f5\u29f8\u29f9")
# How a path begins that some programs do not take for one below the current directory.
_ELSEWHERE = re.compile(r"[~$]|[A-Za-z][A-Za-z0-9+.-]*:")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# What verify reads as an amount.
_AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,8})?")
_MOST = 10**15
_Json = Mapping[str, Any]


class Refused(ValueError):
    """A call that cannot be asked about. The text is for the client, and says what to do."""


@dataclass(frozen=True)
class Asked:
    """A question, and the arguments to forward: the upstream gets what was decided about."""

    question: Question
    arguments: Mapping[str, Any]


def ask_about_tool(
    line: Line, context: Context, arguments: _Json, name: str, schema: Any, pinned: str, root: str | None
) -> Asked:
    """Return the question about a call of a tool. Raises Refused. `name` is the one that clients use.

    `schema` is that of its input, and `pinned` the digest of its whole definition.
    """
    _require_known(arguments, schema)
    fields: dict[str, Any] = {}
    forwarded: _Json = arguments
    for field, mapped in (
        ("recipient", context.recipient),
        ("target", context.target),
        ("text", context.text),
    ):
        if mapped is None:
            continue
        if mapped.kind == "path":
            forwarded = _with_paths(forwarded, mapped, root)
        value = _value_of(mapped, arguments, root)
        if value is not None:
            fields[field] = _shortened(value) if field == "text" else value
    if context.amount is not None:
        fields["amount"] = _read_amount(context.amount, arguments)
    return Asked(_question(line, name, fields, forwarded, pinned), forwarded)


def ask_about_resource(line: Line, uri: str, pinned: str) -> Question:
    """Return the question about reading a resource. Its URI is the target. Raises Refused."""
    return _question(line, uri, {"target": uri}, {"uri": uri}, pinned)


def ask_about_prompt(line: Line, name: str, arguments: _Json, pinned: str) -> Question:
    """Return the question about getting a prompt. Raises Refused."""
    return _question(line, name, {}, arguments, pinned)


def normalize_path(path: object, root: str | None) -> str:
    """Return a path relative to `root`, without empty and `.` segments ("." for the root). Raises Refused.

    Nothing is decoded, and links are not followed: a spelling that the upstream may read in another way is
    refused. An absolute path must be within `root`.
    """
    if not isinstance(path, str):
        raise Refused("A path must be text.")
    if len(path) > MAX_PATH or not path:
        raise Refused(f"A path must have 1 to {MAX_PATH} characters.")
    if _is_ambiguous(path):
        raise Refused(
            "The path is not plain. Write it without .., ~ at the beginning, backslashes, %-escapes, "
            "spaces around names, and invisible characters."
        )
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    if path.startswith("/"):
        within = [segment for segment in (root or "").split("/") if segment not in ("", ".")]
        if root is None or segments[: len(within)] != within:
            where = f"in {root}" if root else "relative"
            raise Refused(f"The path must be {where}.")
        segments = segments[len(within) :]
    relative = "/".join(segments) or "."
    if root is None and _ELSEWHERE.match(unicodedata.normalize("NFKC", relative)):
        raise Refused("The path must begin with a name, not with ~, $ or a scheme such as file:.")
    return relative


def require_few_values(value: Any) -> None:
    """Refuse a JSON value that takes long to canonicalize. Raises Refused."""
    waiting, count = [value], 0
    while waiting:
        one = waiting.pop()
        waiting += one.values() if isinstance(one, Mapping) else one if isinstance(one, list) else ()
        count += 1
        if count + len(waiting) > MAX_VALUES:
            raise Refused(f"The call has more than {MAX_VALUES:,} values. Send it in parts.")


def require_plain_uri(uri: str) -> None:
    """Refuse URIs that the upstream may read as another one, which a policy would not compare."""
    decoded = unicodedata.normalize("NFKC", unquote(unquote(uri)))
    is_plain = decoded.isprintable() and not _ENCODED.search(decoded) and not _SLASHES.intersection(decoded)
    leads_up = any(segment.strip() == ".." for segment in re.split("[/?#;]", decoded))
    if not is_plain or leads_up or len(uri) > MAX_URI or _has_another_spelling(uri):
        raise Refused(
            "The URI is not plain. Write it without .., backslashes, fragments, invisible characters, "
            "empty segments and needless %-escapes."
        )


def _has_another_spelling(uri: str) -> bool:
    """Return whether servers read this as the URI of a shorter spelling (RFC 3986 section 6.2.2)."""
    escapes = _ESCAPE.findall(uri)
    if "#" in uri or any(one != one.upper() or _UNRESERVED.fullmatch(unquote(one)) for one in escapes):
        return True
    _, *path = uri.partition("://")[2].partition("?")[0].split("/")
    return "." in path or "" in path[:-1]


def _question(line: Line, name: str, fields: _Json, arguments: _Json, pinned: str) -> Question:
    try:
        whole = canonical_digest(dict(arguments))
    except ValueError as error:
        raise Refused(f"The arguments cannot be approved, because {error}") from None
    labels = {"labels": list(line.labels)} if line.labels else {}
    context = {**fields, "arguments": whole, "definition": pinned, **labels}
    return Question((line.scope,), None, name, context)


def _require_known(arguments: _Json, schema: Any) -> None:
    """Refuse arguments that the pinned schema does not name: the operator has not seen them."""
    if not isinstance(schema, dict) or takes_others(schema):
        return
    unknown = sorted(set(arguments) - set(schema.get("properties") or {}))
    if unknown:
        raise Refused(f"The tool has no argument {unknown[0]!r}. Leave it out.")


def takes_others(schema: _Json) -> bool:
    """Return whether a tool may take arguments besides `properties`."""
    return bool(schema.get("additionalProperties")) or any(key in schema for key in _OPEN)


def _value_of(mapped: Mapped, arguments: _Json, root: str | None) -> Any:
    """Return the value of a mapped field: of one argument, or the list of several. None if there is none."""
    found = [value for name in mapped.arguments if (value := _at(arguments, name)) is not None]
    if mapped.kind == "path":
        found = [
            [normalize_path(one, root) for one in value]
            if isinstance(value, list)
            else normalize_path(value, root)
            for value in found
        ]
    if len(found) < 2:
        return found[0] if found else None
    return [one for value in found for one in (value if isinstance(value, list) else [value])]


def _with_paths(arguments: _Json, mapped: Mapped, root: str | None) -> _Json:
    """Return the arguments with normalized paths below `root`."""

    def resolve(path: object) -> str:
        relative = normalize_path(path, root)
        if root is None:
            return relative
        return root if relative == "." else f"{root.rstrip('/')}/{relative}"

    for name in mapped.arguments:
        value = _at(arguments, name)
        if value is not None:
            resolved = [resolve(one) for one in value] if isinstance(value, list) else resolve(value)
            arguments = _replaced(arguments, name.split("."), resolved)
    return arguments


def _at(arguments: _Json, name: str) -> Any:
    """Return the value at a path with dots. A name is never one with dots: two readings could differ."""
    value: Any = arguments
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _replaced(value: _Json, path: Sequence[str], new: Any) -> dict[str, Any]:
    first, *rest = path
    return {**value, first: _replaced(value[first], rest, new) if rest else new}


def _read_amount(amount: Amount, arguments: _Json) -> dict[str, Any]:
    """Return verify's `amount`. Raises Refused.

    A fraction as a JSON number is forwarded in its shortest form, which is the one that is read here.
    """
    text = amount_text(_at(arguments, amount.argument), amount.minor_units)
    if text is None:
        form = "an amount, such as 12.50" if amount.minor_units is None else "a whole number"
        raise Refused(f"{amount.argument} must be {form}.")
    currency = (
        amount.currency if isinstance(amount.currency, str) else _at(arguments, amount.currency.argument)
    )
    if not isinstance(currency, str) or not re.fullmatch("[A-Za-z]{3}", currency):
        raise Refused("The currency must be a code of three letters, such as EUR.")
    return {"value": text, "currency": currency.upper()}


def amount_text(value: object, minor_units: int | None) -> str | None:
    """Return an amount as verify reads it, None if it cannot. Minor units are whole numbers."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = repr(value) if is_number and abs(value) < _MOST else value  # type: ignore[arg-type]
    if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
        return None
    if minor_units is None:
        return text
    return None if "." in text else format(Decimal(text).scaleb(-minor_units), "f")


def _shortened(value: Any, most: int = MAX_TEXT) -> Any:
    """Return the beginning of a text, or of each of several. The digest of the arguments covers all of it."""
    if isinstance(value, list):
        shown = [_shortened(one, MAX_TEXT // min(len(value), MAX_TEXTS)) for one in value[:MAX_TEXTS]]
        return [*shown, "…"] if len(value) > MAX_TEXTS else shown
    if not isinstance(value, str):
        return value
    plain = value[:most].replace("\0", "\ufffd")
    return f"{plain}…" if len(value) > most else plain


def _is_ambiguous(path: str) -> bool:
    if _SLASHES.intersection(path) or path.startswith("~") or _ENCODED.search(path):
        return True
    if any(unicodedata.category(character) in _HIDDEN for character in path):
        return True
    compatible = unicodedata.normalize("NFKC", path)
    if any(compatible.count(character) != path.count(character) for character in "/\\%~"):
        return True
    return any(map(_is_odd, path.split("/"), compatible.split("/")))


def _is_odd(segment: str, compatible: str) -> bool:
    """Return whether a segment has spaces around it, or leads upwards. Its full-width form counts, too."""
    if segment != segment.strip() or compatible != compatible.strip():
        return True
    return compatible == ".." or (compatible == "." and segment != ".")
