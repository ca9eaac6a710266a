"""What the log has in place of an entry that it cannot take: its id and its digest.

Nothing else is known to be right. The entry itself stays in the journal until an operator discards it.
"""

from typing import Any

import orjson

from audit.entries.drafts import CHAINED_VERSION, FORMAT_VERSION, SERVICES, Prepared
from audit.entries.journal import LOG_ID, UNFIT, Journaled, encode_entry, ids_of_chain, is_fit, is_moment
from audit.events import Event, Outcome
from core import clock
from core.canonical import sha256
from core.clock import rfc3339

OWNERS = ("organizationId", "userId", "agentId", "consentId")
LINK = ("agentId", "delegationId", "organizationId")


def stand_in(entry: Journaled) -> Journaled:
    """Return the entry that takes the place of a damaged one, always with the same id.

    It is in the streams of the damaged one if these can be read. The digest is that of the record, which has no
    personal data, so it cannot be used to guess such data.
    """
    content, services = _parse(entry.record), _parse(dict(entry.withheld).get(SERVICES, b"null"))
    found = content if isinstance(content, dict) else {}
    services = services or found.get("serviceOrganizationIds")
    return encode_entry(_prepared(entry.record, found, services if isinstance(services, list) else []))


def _prepared(record: bytes, found: dict[str, Any], named: list[Any]) -> Prepared:
    digest, services = sha256(record), sorted({one for one in named if is_fit(one)})
    chain = _chain_of(found)
    content = {
        "v": CHAINED_VERSION if chain else FORMAT_VERSION,
        "id": _id_of(found) or f"log_{digest[:32]}",
        "timestamp": _moment_of(found) or rfc3339(clock.now()),
        "event": Event.ENTRY_DAMAGED.value,
        "outcome": Outcome.INFO.value,
        "reason": None,
        **{name: found[name] if is_fit(found.get(name)) else None for name in OWNERS},
        "serviceOrganizationIds": services,
        "actor": {"kind": "system", "id": None},
        "action": None,
        "scopes": [],
        "requestId": None,
        "metadata": {"entryId": _id_of(found), "sha256": digest},
        **chain,
    }
    if len(services) < 2:
        return Prepared(content, {}, {})
    # None of them may learn of the others, as of any entry.
    return Prepared({**content, "serviceOrganizationIds": []}, {}, {SERVICES: services})


def _parse(encoded: bytes) -> Any:
    try:
        return orjson.loads(encoded) or {}
    except ValueError:
        return {}


def _id_of(found: dict[str, Any]) -> str | None:
    entry_id = found.get("id")
    return entry_id if isinstance(entry_id, str) and LOG_ID.fullmatch(entry_id) else None


def _chain_of(found: dict[str, Any]) -> dict[str, Any]:
    """Return the chain as the member of a record, or nothing if it cannot be that of the entry."""
    try:
        ids = ids_of_chain(found["chain"], found["agentId"])
        chain = [{name: link[name] for name in LINK} for link in found["chain"]]
    except UNFIT:
        return {}
    return {"chain": chain} if all(map(is_fit, ids)) else {}


def _moment_of(found: dict[str, Any]) -> str | None:
    timestamp = found.get("timestamp")
    try:
        return timestamp if isinstance(timestamp, str) and is_moment(timestamp) else None
    except ValueError:
        return None
