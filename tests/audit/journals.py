"""Write decisions' entries into the journal, as the engine does."""

from collections.abc import Sequence
from datetime import datetime

import orjson
from django.db import connection

from audit.entries.drafts import Draft, Prepared, prepare
from audit.entries.journal import TABLE, Journaled, encode_entry, seal, seal_rows
from audit.events import Event, Outcome
from audit.models import Entry
from core import clock
from core.actor import Actor

ACTOR = Actor("service", "res_1", ip="203.0.113.7", user_agent="tests/1.0", request_id="req-12345678")


def decision(**fields: object) -> Draft:
    values = {"event": Event.TOKEN_VERIFY, "outcome": Outcome.ALLOWED, "organization_id": "org_1", "user_id": "usr_1"}
    return Draft(**{"actor": ACTOR, **values, "agent_id": "agt_1", "consent_id": "cns_1", **fields})


def write_row(number: int = 1, at: datetime | None = None, **fields: object) -> list[Prepared]:
    """Write a row with so many entries. Return them."""
    return write_drafts([decision(**fields)] * number, at)


def write_drafts(drafts: Sequence[Draft], at: datetime | None = None) -> list[Prepared]:
    """Write a row with these entries. Return them."""
    entries = prepare(drafts, at or clock.now())
    for body in encode(entries):
        write_body(body)
    return entries


def encode(entries: Sequence[Prepared]) -> list[bytes]:
    """Return the bodies of rows with these entries."""
    return seal_rows([encode_entry(each) for each in entries])


def unchecked(entry: Prepared, **changes: object) -> Journaled:
    """Return an entry as a faulty version of this program would write it."""
    fine = encode_entry(entry)
    return fine._replace(record=orjson.dumps({**orjson.loads(fine.record), **changes}, option=orjson.OPT_SORT_KEYS))


def write_unchecked(*entries: Journaled) -> None:
    write_body(seal(entries))


def write_body(body: bytes) -> int:
    """Write a row and return its id."""
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {TABLE} (body) VALUES (%s) RETURNING id", [body])
        return int(cursor.fetchone()[0])


def logged_ids() -> list[str]:
    return list(Entry.objects.order_by("leaf_index").values_list("id", flat=True))


def ids_of(entries: Sequence[Prepared]) -> list[str]:
    return [entry.id for entry in entries]
