"""Downloads of the user's history, as the page filters it."""

from dataclasses import replace
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, StreamingHttpResponse

from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core import clock
from core.sending import Pieces, Place
from limits.throttle import Subject, Throttle
from web.access import posted_from, signed_in, user_actor, user_page
from web.ledger.exports import FORMATS, require_bounded
from web.ledger.search import Wanted
from web.local import local_zone
from web.views.activity import activity_form


@posted_from("web:activity")
@user_page  # type: ignore[arg-type]  # it streams, as no other page does
def export(request: HttpRequest, format_name: str) -> StreamingHttpResponse:
    """Send what the filters in the URL show, up to now. The download itself is logged, and so not in it."""
    user, now = signed_in(request), clock.now()
    wanted = _until(activity_form(request).wanted(), now)
    content_type, write = FORMATS[format_name]
    account = f"user:{user.id}"
    place = Place(account)
    try:
        Throttle("export", settings.THROTTLE_EXPORT).hit(Subject(account))
        require_bounded(user.id, wanted)
        with transaction.atomic():
            record(Draft(Event.AUDIT_EXPORTED, user_actor(request), user_id=user.id, metadata={"format": format_name}))
        pieces = Pieces(place, write(user.id, wanted, local_zone()))
    except BaseException:
        place.close()
        raise
    name = f"agentgate-activity-{now:%Y%m%dT%H%M%SZ}.{format_name}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(pieces, content_type=content_type, headers=headers)


def _until(wanted: Wanted, now: datetime) -> Wanted:
    until = min(wanted.filters.until or now, now)
    return replace(wanted, filters=replace(wanted.filters, until=until))
