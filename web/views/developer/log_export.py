"""Downloads of the organization's log, as the page filters it."""

from dataclasses import replace

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, StreamingHttpResponse

from audit.entries.drafts import Draft
from audit.events import Event
from audit.selectors import entries_for_organization
from audit.services import record
from core import clock
from core.sending import Pieces, Place
from developers.models import Developer
from limits.throttle import Subject, Throttle
from web.access import developer_actor, developer_page, posted_from
from web.forms.logs import LogFilterForm
from web.local import local_zone
from web.logs.exports import FORMATS, require_bounded
from web.logs.names import suggested_names


@developer_page
@posted_from("web:logs")  # type: ignore[arg-type]  # it streams, as few other pages do
def export(request: HttpRequest, developer: Developer, format_name: str) -> StreamingHttpResponse:
    """Send what the filters in the URL show, up to now. The download itself is logged, and so not in it."""
    now, own = clock.now(), suggested_names(developer)
    form = LogFilterForm(request.GET, names=own)
    filters = form.filters()
    until = min(filters.until or now, now)
    listing = entries_for_organization(developer.organization_id, replace(filters, until=until))
    content_type, write = FORMATS[format_name]
    account = f"user:{developer.user_id}"
    place = Place(account)
    try:
        Throttle("export", settings.THROTTLE_EXPORT).hit(Subject(account))
        require_bounded(listing)
        with transaction.atomic():
            metadata = {"format": format_name}
            actor = developer_actor(request, developer)
            record(Draft(Event.AUDIT_EXPORTED, actor, organization_id=developer.organization_id, metadata=metadata))
        pieces = Pieces(place, write(listing, own, local_zone(), form.foreign_request_id))
    except BaseException:
        place.close()
        raise
    name = f"agentgate-log-{now:%Y%m%dT%H%M%SZ}.{format_name}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(pieces, content_type=content_type, headers=headers)
