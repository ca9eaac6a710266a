"""Fill the log with decisions of the last days, through the code of the sequencer, past the journal."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import batched
from typing import NamedTuple

from audit.entries import personal_keys
from audit.entries.drafts import Draft, prepare
from audit.entries.journal import encode_entry
from audit.entries.packing import pack
from audit.entries.records import Record, finish
from audit.events import Event, Outcome
from audit.sequencing import sequencer
from audit.sequencing.log import Log, Sealed, newest
from audit.signing import checkpoints
from benchmarks.rows import ACTOR
from core import clock
from core.ids import new_id
from core.locks import sequencing

ENTRIES_PER_WRITE = 10_000
SPAN = timedelta(days=90)
SERVICE = ACTOR.acting_as("service", "res_00000000000000000000000000000000")
# One entry in so many is not a decision.
ISSUED_EVERY, UPDATED_EVERY = 50, 10_000


class Connection(NamedTuple):
    """The ids in the entries of a connection."""

    consent_id: str
    agent_id: str
    organization_id: str | None
    user_id: str | None


def fill(connections: Sequence[Connection], entries: int, denials: int) -> None:
    """Log so many entries about all connections in turn, and at last denials of the first one."""
    first_denial = entries - denials
    write((_draft(one, _about(connections, one, first_denial), first_denial) for one in range(entries)), entries)


def write(drafts: Iterable[Draft], number: int) -> None:
    """Log so many drafts, spread evenly over the last days."""
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


def _about(connections: Sequence[Connection], number: int, first_denial: int) -> Connection:
    return connections[0 if number >= first_denial else number % len(connections)]


def _draft(number: int, about: Connection, first_denial: int) -> Draft:
    is_denied = number >= first_denial or number % 7 == 0
    draft = Draft(
        event=Event.TOKEN_VERIFY,
        actor=SERVICE._replace(request_id=new_id("req")),
        outcome=Outcome.DENIED if is_denied else Outcome.ALLOWED,
        organization_id=about.organization_id,
        user_id=about.user_id,
        agent_id=about.agent_id,
        consent_id=about.consent_id,
        action="email:read",
        scopes=["email:read"],
        resource="https://mail.example/mailboxes/inbox/messages/18c2f0b7",
    )
    if number % UPDATED_EVERY == 0:
        return draft._replace(event=Event.AGENT_UPDATED, outcome=Outcome.INFO, user_id=None, consent_id=None)
    return draft._replace(event=Event.TOKEN_ISSUED, outcome=Outcome.INFO) if number % ISSUED_EVERY == 0 else draft


def _records(drafts: Iterable[Draft], moments: Iterable[datetime]) -> Iterator[Record]:
    """Yield the records, with ids of their time."""
    for draft, at in zip(drafts, moments, strict=True):
        (prepared,) = prepare([draft], at)
        prepared.content["id"] = f"log_{int(at.timestamp() * 1000):012x}7{secrets.token_hex(10)[1:]}"
        yield finish(encode_entry(prepared))


def _sealed(records: Iterable[Record]) -> Iterator[Sealed]:
    found = list(records)
    keys = personal_keys.keys_for(one.subject for one in found if one.personal)
    for one in found:
        key = keys[one.subject] if one.personal else None
        yield Sealed(one, pack(one.body), personal_keys.encrypt(key, one.id, one.personal) if key else None)
