"""The members of an entry's body that are columns of the log, too."""

from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

import orjson

STRING = frozenset({str})
_members = itemgetter("id", "timestamp", "event", "outcome", "userId", "agentId", "consentId", "personal")
_concerned = itemgetter("organizationId", "serviceOrganizationIds")


class Columns(NamedTuple):
    """`organization_ids` are the organizations whose log contains the entry. `personal` is a commitment."""

    id: str
    timestamp: datetime
    event: str
    outcome: str
    user_id: str | None
    agent_id: str | None
    consent_id: str | None
    personal: str
    organization_ids: list[str]


def read_columns(body: bytes) -> Columns:
    """Raises `ValueError` if this is not the body of an entry."""
    try:
        content = orjson.loads(body)
        entry_id, timestamp, event, outcome, user_id, agent_id, consent_id, personal = _members(content)
        organization_id, services = _concerned(content)
        moment = datetime.fromisoformat(timestamp)
        texts = (entry_id, event, outcome, personal, *services)
    except (LookupError, TypeError) as error:
        raise ValueError(f"Not an entry: {error!r}") from error
    found = [one for one in (user_id, agent_id, consent_id, organization_id) if one is not None]
    if type(services) is not list or not STRING.issuperset(map(type, (*texts, *found))) or moment.tzinfo is None:
        raise ValueError("Not an entry: a member has the wrong type.")
    organization_ids = list(dict.fromkeys([organization_id, *services] if organization_id else services))
    return Columns(entry_id, moment, event, outcome, user_id, agent_id, consent_id, personal, organization_ids)
