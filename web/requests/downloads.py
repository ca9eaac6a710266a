"""Downloads of the log as a table or as data, with exactly the entries that a page's filters show."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import translation
from django.utils.translation import gettext as _

from accounts.recent import require_recent_sign_in, time_of_sign_in
from audit.entries.drafts import Draft
from audit.readers.criteria import Criteria
from audit.readers.snapshot import take_snapshot
from audit.selectors import Filters
from audit.services import record
from core.clock import rfc3339
from core.errors import Invalid
from core.local import local_zone
from core.sending import Pieces, Place
from limits.throttle import Subject, Throttle
from web.requests.access import signed_in

# A download occupies a server thread until it is done.
MAX_ENTRIES = 100_000

type Row = dict[str, Any]


class Logged(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Download[T: Logged]:
    """Entries of the log, read while they are sent, many at a time.

    Each row has the ID and the time of the entry, and a value for each of `values`. `criteria` match these entries, and
    perhaps others. `zone` is that of the local times, and `language` that of the texts. The file is called
    `agentgate-<name>`.
    """

    name: str
    criteria: Criteria
    values: Mapping[str, Callable[[T], Any]]
    batches: Iterator[Sequence[T]]
    zone: ZoneInfo = field(default_factory=local_zone)
    # Read at once: the rows are written when the request's language has ended.
    language: str | None = field(default_factory=translation.get_language)

    @property
    def columns(self) -> list[str]:
        return ["id", "time", "localTime", "timeZone", *self.values]

    def rows(self) -> Iterator[list[Row]]:
        """Yield the rows in batches. Unknown values are null."""
        for batch in self.batches:
            with translation.override(self.language):
                rows = [self._row(entry) for entry in batch]
            yield rows

    def _row(self, entry: T) -> Row:
        local = entry.at.astimezone(self.zone).isoformat(sep=" ", timespec="seconds")
        times = (rfc3339(entry.at), local, self.zone.key)
        found = (entry.id, *times, *(read(entry) for read in self.values.values()))
        return {name: None if value == "" else value for name, value in zip(self.columns, found, strict=True)}


def up_to(now: datetime, filters: Filters) -> Filters:
    """Return the filters without entries written from `now` on, such as the entry about the download itself."""
    return replace(filters, until=min(filters.until or now, now))


def send(
    request: HttpRequest, download: Download[Any], format_name: str, now: datetime, draft: Draft
) -> StreamingHttpResponse:
    """Send the download to the signed-in user and log it as `draft`.

    Raises `ReauthenticationRequired` without a recent sign-in, `Throttled`, or `Invalid` if more than `MAX_ENTRIES`
    entries match.
    """
    require_recent_sign_in(time_of_sign_in(request))
    content_type, write = FORMATS[format_name]
    account = f"user:{signed_in(request).id}"
    place = Place(account)
    try:
        Throttle("export", settings.THROTTLE_EXPORT).hit(Subject(account))
        _require_bounded(download.criteria)
        with transaction.atomic():
            record(draft._replace(metadata={"format": format_name}))
        pieces = Pieces(place, write(download))
    except BaseException:
        place.close()
        raise
    name = f"agentgate-{download.name}-{now:%Y%m%dT%H%M%SZ}.{format_name}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(pieces, content_type=content_type, headers=headers)


def _require_bounded(criteria: Criteria) -> None:
    if take_snapshot().count(criteria) > MAX_ENTRIES:
        message = _("A download has at most %(number)d entries. Choose a shorter period, or an agent.")
        raise Invalid(message % {"number": MAX_ENTRIES})


def _csv_pieces(download: Download[Any]) -> Iterator[bytes]:
    yield csv_lines([download.columns])
    for rows in download.rows():
        yield csv_lines(cells(row, download.columns) for row in rows)


def _json_pieces(download: Download[Any]) -> Iterator[bytes]:
    """Yield an object whose member `items` has the entries."""
    yield b'{"items":['
    separator = ""
    for rows in download.rows():
        for row in rows:
            yield f"{separator}\n{json.dumps(row, ensure_ascii=False)}".encode()
            separator = ","
    yield b"\n]}\n"


FORMATS: Mapping[str, tuple[str, Callable[[Download[Any]], Iterator[bytes]]]] = {
    "csv": ("text/csv; charset=utf-8", _csv_pieces),
    "json": ("application/json", _json_pieces),
}


# Spreadsheets evaluate cells that begin with one of these characters and, in some languages, with their full-width
# forms. Where the separator is a semicolon or a tab, a cell can begin inside one of ours, and quotes end elsewhere.
FORMULA = re.compile(r"(^|[;\t\r\n\"])([ ]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])|^(?=[\t\r\n])")


def csv_lines(rows: Iterable[Iterable[Any]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()


def cells(row: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    return [_cell(row[name]) for name in columns]


def _cell(value: Any) -> str:
    """Return the value as text that spreadsheets do not evaluate. Services and agents write some of it."""
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    text = " ".join(value) if isinstance(value, list) else str("" if value is None else value)
    return FORMULA.sub(r"\1\2'", text)
