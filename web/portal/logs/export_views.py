"""Downloads of the organization's log, filtered like the page."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse

from audit.entries.drafts import Draft
from audit.events import Event
from audit.selectors import entries_for_organization
from core import clock
from core.http import SeeOther
from core.local import local_zone
from developers.models import Developer
from web.portal.logs.exports import download_of
from web.portal.logs.forms import LogFilterForm
from web.portal.logs.names import suggested_names
from web.requests.access import developer_actor, developer_page, posted_from
from web.requests.downloads import send, up_to


@developer_page
@posted_from("web:logs")
def export(request: HttpRequest, developer: Developer, format_name: str) -> HttpResponseBase:
    """Send what the filters in the URL show, up to now. The download is logged, but does not include its own entry.

    An invalid filter leads back to the page, which shows what is wrong.
    """
    now, own = clock.now(), suggested_names(developer)
    form = LogFilterForm(request.GET, names=own)
    if not form.is_valid():
        return SeeOther(f"{reverse('web:logs')}?{request.GET.urlencode()}")
    listing = entries_for_organization(developer.organization_id, up_to(now, form.filters()))
    name = "-".join(["log", *form.file_words()])
    download = download_of(listing, own, local_zone(), request_id=form.foreign_request_id, name=name)
    actor = developer_actor(request, developer)
    draft = Draft(Event.AUDIT_EXPORTED, actor, organization_id=developer.organization_id)
    return send(request, download, format_name, now, draft)
