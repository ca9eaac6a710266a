"""One entry of an organization's log, with everything in it that the organization may read."""

import json
from dataclasses import dataclass

from audit.selectors import entry_for_organization
from core.text import escape_invisible
from resources.catalogue import Scope, describe_scopes
from web.portal.logs.names import OwnNames
from web.portal.logs.proof import Proof, find_proof
from web.portal.logs.rows import LogRow, read_rows


@dataclass(frozen=True, slots=True)
class LogDetail:
    """An entry in full. `whole` is the entry as JSON, as the API shows it."""

    row: LogRow
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
    return LogDetail(row, describe_scopes(row.content["scopes"]), find_proof(row.entry), _whole(row))


def _whole(row: LogRow) -> str:
    written = json.dumps(row.content, indent=2, ensure_ascii=False)
    return "\n".join(map(escape_invisible, written.split("\n")))
