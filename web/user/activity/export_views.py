"""Downloads of the user's history, filtered like the page."""

from dataclasses import replace

from django.http import HttpRequest, StreamingHttpResponse

from audit.entries.drafts import Draft
from audit.events import Event
from core import clock
from core.local import local_zone
from web.requests.access import posted_from, signed_in, user_actor, user_page
from web.requests.downloads import send, up_to
from web.user.activity.exports import download_of
from web.user.activity.views import activity_form


@posted_from("web:activity")
@user_page
def export(request: HttpRequest, format_name: str) -> StreamingHttpResponse:
    """Send what the filters in the URL show, up to now. The download is logged, but does not include its own entry."""
    user, now, wanted = signed_in(request), clock.now(), activity_form(request).wanted()
    wanted = replace(wanted, filters=up_to(now, wanted.filters))
    draft = Draft(Event.AUDIT_EXPORTED, user_actor(request), user_id=user.id)
    return send(request, download_of(user.id, wanted, local_zone()), format_name, now, draft)
