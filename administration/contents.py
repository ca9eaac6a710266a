"""What users and services said in requests. Of the administrators, only superusers read it in the log."""

from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _

from audit.entries.drafts import CALL, REASON, REQUEST_ID
from audit.readers.reading import AuditEntry

# The personal facts that every administrator needs: where a request came from, an address, and a stated reason.
SHOWN = frozenset({"ip", "userAgent", "callerIp", "forwardedUserAgent", "email", REASON, REQUEST_ID})


def withhold_contents(entry: AuditEntry) -> AuditEntry:
    """Return the entry with words that say so in the place of all other personal facts."""
    parts = {name: part if name == CALL else _shown(name, part) for name, part in entry.personal_parts.items()}
    if CALL in parts:
        parts[CALL] = {name: _shown(name, value) for name, value in parts[CALL].items()}
    return replace(entry, personal_parts=parts)


def _shown(name: str, value: Any) -> Any:
    return value if name in SHOWN or not value else _("Withheld. Only superusers read what was requested.")
