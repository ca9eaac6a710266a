"""What an administrator typed and selected, kept in the session while they enter the password.

It is never submitted again. The page that follows the password only shows it, so that the administrator sees what they
send.
"""

from dataclasses import dataclass

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest

from core import clock

LIFETIME_SECONDS = 600
# No list has more rows on a page (`ReadOnlyAdmin`), and ids and reasons are shorter.
MAX_ROWS, MAX_LENGTH = 100, 1000
_KEY = "kept_form"


@dataclass(frozen=True, slots=True)
class KeptForm:
    """The action and the rows that were selected in a list, and the reason. All may be empty."""

    action: str = ""
    rows: tuple[str, ...] = ()
    is_across: bool = False
    reason: str = ""


def keep_form(request: HttpRequest) -> None:
    """Keep what was sent to this page by POST. It is shown once, and not after `LIFETIME_SECONDS`."""
    if request.method != "POST":
        return
    sent = request.POST
    kept = {
        "action": sent.get("action", "")[:MAX_LENGTH],
        "rows": [pk[:MAX_LENGTH] for pk in sent.getlist(ACTION_CHECKBOX_NAME)[:MAX_ROWS]],
        "is_across": sent.get("select_across") == "1",
        "reason": sent.get("reason", "")[:MAX_LENGTH],
    }
    request.session[_KEY] = {"page": request.get_full_path(), "at": clock.now().timestamp(), **kept}


def kept_form(request: HttpRequest) -> KeptForm:
    """Return what was kept for this page. It is empty if nothing was."""
    found = request.session.get(_KEY)
    if not found or found["page"] != request.get_full_path():
        return KeptForm()
    if clock.now().timestamp() - found["at"] > LIFETIME_SECONDS:
        return KeptForm()
    return KeptForm(found["action"], tuple(found["rows"]), found["is_across"], found["reason"])


def take_reason(request: HttpRequest) -> str:
    """Return the reason that was kept for this page, and forget what was kept for it."""
    reason = kept_form(request).reason
    if request.session.get(_KEY, {}).get("page") == request.get_full_path():
        del request.session[_KEY]
    return reason
