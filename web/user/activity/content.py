"""What the log tells the user about an entry, for the entry's page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from audit.entries.drafts import SHORTENED
from core.money import read_amount
from core.text import plain_text, readable_json
from resources.catalogue import Scope, describe_scopes
from web.display.labels import field_name
from web.user.activity.items import Item
from web.user.activity.touched import text_of
from web.user.approvals.diffs import visible_text
from web.user.connections.limits.descriptions import bounds_in_words

TEXTS = ("text", "diff")
# The page shows these fields elsewhere.
SHOWN = frozenset({*TEXTS, "verb", "recipient", "target", "amount", "ip"})


@dataclass(frozen=True, slots=True)
class Content:
    """What the service sent about a call, or what was handed over. Each part may be empty.

    `texts` have a label each, and say whether they are prose. `others` are the other fields, as JSON.

    `size` is the full size in bytes if the log has only the beginning of the content, else 0. What was handed over ends
    at `until`, is for the `task` and has `bounds`, in words.
    """

    scopes: list[Scope]
    texts: list[tuple[str, str, bool]]
    others: str
    size: int
    ip: str = ""
    until: datetime | None = None
    task: str = ""
    bounds: Sequence[str] = ()


def describe_content(item: Item) -> Content:
    personal, scopes = item.content["personal"], describe_scopes(item.content["scopes"])
    if shortened := personal.get(SHORTENED):
        fields = "\n".join(map(field_name, shortened["fields"]))
        beginning = visible_text(shortened["beginning"])
        texts = [(_("Beginning"), beginning, False), (_("Names of its first fields"), fields, False)]
        return Content(scopes, texts, "", shortened["size"])
    context = personal.get("context") or {}
    titles = {"text": _("Text"), "diff": _("Changes")}
    texts = [
        (titles[name], visible_text(context[name]), name == "text")
        for name in TEXTS
        if isinstance(context.get(name), str)
    ]
    ip = text_of(context["ip"]) if isinstance(context.get("ip"), str) else ""
    return Content(scopes, texts, _rest(context), 0, ip, *(_handed_over(item) if item.is_handover else ()))


def _handed_over(item: Item) -> tuple[datetime, str, list[str]]:
    """Return until when work was handed over, its task, and how it is bounded."""
    personal = item.content["personal"]
    terms = personal.get("terms") or {}
    until = datetime.fromisoformat(item.content["metadata"]["expiresAt"])
    return until, plain_text(personal.get("task")), bounds_in_words(terms.get("limits", {}), terms.get("targets", {}))


def _rest(context: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in context.items() if not (name in SHOWN and _is_shown(name, value))}
    return readable_json(rest) if rest else ""


def _is_shown(name: str, value: Any) -> bool:
    """Return whether the page shows all of the value elsewhere."""
    if name == "amount":
        return read_amount(value) is not None
    return isinstance(value, str) and (name in TEXTS or (bool(value) and text_of(value) == value))
