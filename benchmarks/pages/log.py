"""Write a log of the last 90 days through the code of the sequencer, past the journal."""

import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import batched

from audit.entries import personal_keys
from audit.entries.drafts import Draft, prepare
from audit.entries.journal import encode_entry
from audit.entries.packing import pack
from audit.entries.records import Record, finish
from audit.sequencing import sequencer
from audit.sequencing.log import Log, Sealed, newest
from audit.signing import checkpoints
from core import clock
from core.locks import sequencing

ENTRIES_PER_WRITE = 10_000
SPAN = timedelta(days=90)


def write(drafts: Iterable[Draft], number: int) -> None:
    """Log `number` drafts, spread evenly over the last 90 days."""
    sequencer.sequence()
    log, now = Log(*newest()), clock.now()
    for numbered in batched(enumerate(drafts), ENTRIES_PER_WRITE):
        moments = [now - SPAN * ((number - one) / number) for one, _ in numbered]
        placed = log.place([*_sealed(_records([draft for _, draft in numbered], moments))], moments[-1])
        with sequencing():
            placed.write()
    with sequencing():
        log.save_streams()
        checkpoints.insert(log.size, log.root())
    sequencer.forget()


def _records(drafts: Iterable[Draft], moments: Iterable[datetime]) -> Iterator[Record]:
    """Yield the records, with ids that begin with their time."""
    for draft, at in zip(drafts, moments, strict=True):
        (prepared,) = prepare([draft], at)
        prepared.content["id"] = f"log_{int(at.timestamp() * 1000):012x}7{secrets.token_hex(10)[1:]}"
        yield finish(encode_entry(prepared))


def _sealed(records: Iterable[Record]) -> Iterator[Sealed]:
    found = list(records)
    keys = personal_keys.keys_for(one.outline.subject for one in found if one.personal)
    for one in found:
        key = keys[one.outline.subject] if one.personal else None
        yield Sealed(one, pack(one.body), personal_keys.encrypt(key, one.id, one.personal) if key else None)
