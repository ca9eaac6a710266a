"""What happened, according to a log entry, in a sentence with names."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from administration.links import named
from audit.readers.reading import AuditEntry
from core.text import plain_text
from decisions.wording import sentence_of
from resources.catalogue import Scope

# The kinds of actors in the log.
ACTORS = {
    "user": gettext_lazy("Person"),
    "developer": gettext_lazy("Developer"),
    "api_key": gettext_lazy("API key of an organization"),
    "agent": gettext_lazy("Agent"),
    "service": gettext_lazy("Service"),
    "administrator": gettext_lazy("Administrator"),
    "system": gettext_lazy("This server"),
    "anonymous": gettext_lazy("Anonymous"),
}


def sentence_about(
    entry: AuditEntry, names: Mapping[str, str], scopes: Mapping[str, Scope], most: int | None = None
) -> SafeString:
    """Return what happened, with the names of others set apart, and at most `most` scopes.

    `names` and `scopes` are by id. An id without a name stands for itself: it is gone, or may not be read.
    """
    content = entry.content
    named_parts = _names(entry, content, names)
    is_system = content["actor"]["kind"] == "system"
    unnamed = {
        "actor": str(ACTORS["system"]) if is_system else _("An unknown caller"),
        "agent": _("an agent"),
        "person": _("a person"),
        "organization": _("an organization"),
        "policy": _("a policy"),
    }
    words: dict[str, Any] = {part: named(named_parts[part]) if named_parts[part] else unnamed[part] for part in unnamed}
    if content["actor"]["kind"] == "api_key":
        words["actor"] = format_html(_("The API key {}"), words["actor"])
    words["account"] = format_html(_("the account of {}"), words["person"])
    listed = _list(content["scopes"], scopes, most) or plain_text(content["action"] or "")
    words["scopes"] = format_html("<bdi>{}</bdi>", listed or _("no specific scopes"))
    return mark_safe(conditional_escape(str(sentence_of(content))) % words)  # noqa: S308 -- all parts are escaped


def _list(ids: Sequence[str], scopes: Mapping[str, Scope], most: int | None) -> str:
    titles = [plain_text(scopes[one].title if one in scopes else one) for one in ids]
    if most is not None and len(titles) > most:
        titles[most:] = [_("%(number)d more") % {"number": len(titles) - most}]
    return get_text_list(titles, _("and"))


def _names(entry: AuditEntry, content: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """Return the names of the parts of the sentence. They are empty where there is none."""
    metadata = content["metadata"]
    ids = {
        "actor": content["actor"]["id"],
        "agent": entry.agent_id,
        "person": entry.user_id,
        "organization": next(iter(entry.organization_ids), None),
        "policy": content["policyId"] or metadata.get("policyId"),
    }
    found = {part: names.get(pk, pk) if pk else "" for part, pk in ids.items()}
    return {**found, "policy": plain_text(metadata.get("policyName") or metadata.get("name")) or found["policy"]}
