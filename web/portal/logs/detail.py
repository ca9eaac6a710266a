"""One entry of an organization's log: what the organization may read of it, and how to check it without this server."""

import json
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from audit.readers.reading import AuditEntry
from audit.selectors import entry_for_organization
from audit.signing import checkpoints
from core.text import escape_invisible, plain_text
from decisions.wording import sentence_of
from resources.catalogue import Scope, describe_scopes
from web.portal.logs.names import OwnNames
from web.portal.logs.phrases import ACTING
from web.portal.logs.rows import LogRow, read_rows


@dataclass(frozen=True, slots=True)
class Proof:
    """`index` is the place of the entry in the log. `size` and `signed_at` describe a checkpoint that covers it.

    All are None until the sequencer has reached the entry. `commands` run in a shell, one after the other.
    """

    index: int | None
    size: int | None
    signed_at: datetime | None
    commands: str


@dataclass(frozen=True, slots=True)
class LogDetail:
    """An entry in full. `whole` is the entry as JSON, as the API shows it."""

    row: LogRow
    scopes: list[Scope]
    proof: Proof
    whole: str

    @property
    def act(self) -> str:
        """What happened, as a sentence. Developers do not learn the names of users."""
        content, titles = self.row.content, [plain_text(scope.title) for scope in self.scopes]
        words = {
            "actor": self.row.acting or str(ACTING.get(content["actor"]["kind"], ACTING["anonymous"])),
            "agent": self.row.agent_name or _("An agent"),
            "person": _("A user"),
            "account": _("the account of a user"),
            "organization": _("your organization"),
            "policy": self.row.policy_name,
            "scopes": get_text_list(titles, _("and")) or plain_text(content["action"]) or _("no specific scopes"),
        }
        return str(sentence_of(content)) % words


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


def find_proof(entry: AuditEntry) -> Proof:
    covering = None if entry.index is None else checkpoints.covering(entry.index)
    return Proof(
        entry.index,
        covering.size if covering else None,
        covering.created_at if covering else None,
        _commands(entry.id),
    )


def _commands(entry_id: str) -> str:
    base = f"{settings.API_URL}/api/v1/audit"
    key, proof = f"{urlsplit(settings.API_URL).hostname}.key", f"{entry_id}.json"
    credential = '-H "X-Api-Key: ${AGENTGATE_API_KEY:?Set this to your API key}"'
    lines = (
        ("curl", "-sSo", key, f"{base}/key"),
        ("curl", "-sSfo", proof, credential, f"{base}/{entry_id}/proof"),
        ("agentgate-audit", "proof", proof, "--key", key),
    )
    return "\n".join(map(" ".join, lines))
