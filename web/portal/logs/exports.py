"""Downloads of the organization's log, filtered like the page."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from audit.entries.drafts import Draft
from audit.events import Event
from audit.readers.search import Listing
from audit.selectors import entries_for_organization
from core import clock
from core.http import SeeOther
from developers.acting import while_permitted
from developers.models import Developer
from developers.roles import Right
from web.portal.logs.forms import SEARCH, LogFilterForm
from web.portal.logs.names import OwnNames, suggested_names
from web.portal.logs.rows import LogRow, read_rows
from web.requests.access import developer_actor, for_developers, posted_from
from web.requests.downloads import Download, send, up_to
from web.requests.portal import portal_url

READ = 200
COLUMNS: Mapping[str, Callable[[LogRow], Any]] = {
    "event": lambda row: row.entry.event,
    "outcome": lambda row: row.entry.outcome,
    "reason": lambda row: row.content["reason"],
    "rule": lambda row: row.content["metadata"].get("ruleType"),
    "policy": lambda row: row.policy_name,
    "policyId": lambda row: row.policy_id,
    "action": lambda row: row.content["action"],
    "scopes": lambda row: list(row.content["scopes"]),
    "resource": lambda row: row.content["personal"].get("resource"),
    "agent": lambda row: row.agent_name if row.entry.agent_id in row.names.names else None,
    "agentId": lambda row: row.entry.agent_id,
    "userId": lambda row: row.entry.user_id,
    "consentId": lambda row: row.content["consentId"],
    "actor": lambda row: row.content["actor"]["kind"],
    "actorId": lambda row: row.content["actor"]["id"],
    "actorName": lambda row: row.actor_name,
    "ip": lambda row: row.content["personal"].get("ip"),
    "requestId": lambda row: row.content["requestId"],
    "index": lambda row: row.entry.index,
}


@for_developers(Right.READ)
@posted_from("portal:logs", "organization_id")
def export(request: HttpRequest, developer: Developer, format_name: str) -> HttpResponseBase:
    """Send what the filters in the URL show, up to now. The download is logged, but does not include its own entry.

    An invalid filter, and a search, lead to the page, which shows what is wrong, or has the filters in its URL.
    """
    now, own = clock.now(), suggested_names(developer)
    form = LogFilterForm(request.GET, names=own)
    if not form.is_valid() or SEARCH in request.GET:
        return SeeOther(f"{portal_url(developer.organization_id, 'logs')}?{request.GET.urlencode()}")
    listing = entries_for_organization(developer.organization_id, up_to(now, form.filters()))
    actor = developer_actor(request, developer)
    batches = while_permitted(actor, Right.READ, _read_all(listing, own, form.foreign_request_id))
    download = Download("log", listing.criteria, COLUMNS, batches)
    draft = Draft(Event.AUDIT_EXPORTED, actor, organization_id=developer.organization_id)
    return send(request, download, format_name, now, draft)


def _read_all(listing: Listing, own: OwnNames, request_id: str) -> Iterator[list[LogRow]]:
    for entries in listing.pages(READ):
        yield [row for row in read_rows(entries, own) if request_id in ("", row.content["requestId"])]
