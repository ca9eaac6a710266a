"""One entry of an organization's log with everything that the organization may read of it."""

import json
from dataclasses import dataclass

from agents.selectors import agents_for_organization
from audit.selectors import entry_for_organization
from core.text import escape_invisible
from resources.catalogue import Scope, describe_scopes
from web.logs.names import OwnNames
from web.logs.proof import Proof, find_proof
from web.logs.rows import LogRow, read_rows


@dataclass(frozen=True, slots=True)
class LogDetail:
    """`whole` is the entry as the API shows it, as JSON. A deleted agent has no page."""

    row: LogRow
    has_agent_page: bool
    scopes: list[Scope]
    proof: Proof
    whole: str


def read_detail(entry_id: str, own: OwnNames) -> LogDetail:
    """Return the entry with this id.

    Raises `NotFound` if the organization's log does not have the entry, and `ArchiveUnavailable`.
    """
    (row,) = read_rows([entry_for_organization(own.organization_id, entry_id)], own)
    return describe(row)


def describe(row: LogRow) -> LogDetail:
    agents = agents_for_organization(row.names.organization_id)
    has_agent_page = agents.filter(pk=row.agent_id).exists()
    return LogDetail(row, has_agent_page, describe_scopes(row.content["scopes"]), find_proof(row.entry), _whole(row))


def _whole(row: LogRow) -> str:
    written = json.dumps(row.content, indent=2, ensure_ascii=False)
    return "\n".join(map(escape_invisible, written.split("\n")))
