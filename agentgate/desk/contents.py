"""The contents of requests, which are the users'. Of the administrators, only superusers read them in the log."""

from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _

from audit.entries.drafts import CALL
from audit.readers.reading import AuditEntry

# What a service reports about a request, and what the log takes from that.
CONTENTS = ("amount", "context", "named")


def withhold_contents(entry: AuditEntry) -> AuditEntry:
    """Return the entry with words that say so in the place of what was requested."""
    parts = _without(entry.personal_parts)
    if CALL in parts:
        parts[CALL] = _without(parts[CALL])
    return replace(entry, personal_parts=parts)


def _without(parts: Any) -> dict[str, Any]:
    words = _("Withheld. Only superusers read what was requested.")
    return {name: words if name in CONTENTS and value else value for name, value in parts.items()}
