"""How log records are written: as lines of text, or as JSON objects. Neither shows secrets or email addresses."""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from core.ids import NO_REQUEST

# Our bearer secrets, authorization codes and unguessable ids, JWTs, credentials in headers and URLs, links that reset a
# password, what PostgreSQL says of a row that breaks a constraint, and email addresses. They are not logged on purpose,
# but the message of an exception may have been made from a row, and a path may contain anything.
#
# Anyone can send such a text, so each pattern takes linear time: it starts at few places, such as where words begin,
# and never tries a shorter match (possessive quantifiers).
REDACTIONS = (
    (re.compile(r"\b(ags?|agr|rs|st|reg|agcode)_[A-Za-z0-9_-]{16,}+"), r"\1_[redacted]"),
    # A JWT may follow a hyphen, within a word.
    (
        re.compile(r"(?<![\w-])((?:(?!\beyJ[\w-]{4})[\w-])*+)eyJ[\w-]{4,}+\.[\w-]++(?:\.[\w-]*+)*+"),
        r"\1[token]",
    ),
    (re.compile(r"\b(Bearer|Basic|DPoP) ++[A-Za-z0-9._~+/=-]{8,}+", re.I), r"\1 [redacted]"),
    (re.compile(r"(://[^\s:/@]*+:)[^\s/@]++@"), r"\1[redacted]@"),
    (re.compile(r"(/reset/key/)[^\s/]++"), r"\1[redacted]"),
    (re.compile(r"^(DETAIL: ).*$", re.M), r"\1[redacted]"),
    (re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)++"), "[email]"),
)


def redact(text: str) -> str:
    """Return the text without secrets and email addresses that can be recognized by their form."""
    for pattern, replacement in REDACTIONS:
        text = pattern.sub(replacement, text)
    return text


class TextFormatter(logging.Formatter):
    """A line with the time, the level, the logger and the request's id. An exception follows on lines of its own."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {name} [{request_id}] {message}", style="{")

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object per line. `fields`, which a caller may pass in `extra`, become members of the object."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
            "process": record.process,
        }
        request_id = getattr(record, "request_id", NO_REQUEST)
        if request_id != NO_REQUEST:
            line["requestId"] = request_id
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = redact(self.formatStack(record.stack_info))
        return json.dumps(line, default=str)
