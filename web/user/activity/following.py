"""The approval that an entry is about, and what the agent did with it."""

from datetime import timedelta

from accounts.models import User
from approvals.models import Approval
from approvals.selectors import approvals_for_user
from audit.events import Event
from audit.selectors import Filters, entries_for_user
from core.text import plain_text
from web.user.activity.days import Line, lay_out
from web.user.activity.items import Item, read_items

# The log has no index of approvals, so this many of the agent's requests are read.
MAX_READ = 200
MAX_FOLLOWED = 10
# A use is logged shortly after the approval is marked as used.
DELAY = timedelta(minutes=1)


def find_approval(item: Item, user: User) -> Approval | None:
    """Return the approval that the entry names. None if it names none, or if that has been deleted."""
    approval_id = item.content["metadata"].get("approvalId")
    return approvals_for_user(user).filter(pk=approval_id).first() if approval_id else None


def find_followed(item: Item, approval: Approval | None, user: User) -> list[Line]:
    """Return what the agent did with the approval of the entry, newest first, in lines of the ledger."""
    last = approval.used_at if approval else None
    filters = Filters(
        agent_id=item.agent_id,
        events=frozenset({Event.TOKEN_VERIFY}),
        since=item.at,
        until=last + DELAY if last else None,
    )
    entries, _older = entries_for_user(user.id, filters).page("", MAX_READ)
    approval_id = item.content["metadata"].get("approvalId")
    used = [one for one in entries if one.content["metadata"].get("approvalId") == approval_id][:MAX_FOLLOWED]
    names = {item.agent_id: plain_text(item.content["agentName"])} if item.agent_id else {}
    items = read_items(used, user.id, agent_names=names, with_services=False)
    return [line for day in lay_out(items, {})[0] for line in day.lines]
