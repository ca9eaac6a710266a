"""The organization's events, from a number on."""

import re

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.response import Response

from api.endpoint import DeveloperEndpoint
from api.operations import operation
from api.schema import EVENT_STREAM
from api.v1.schemas.approvals import MAX_WAIT_SECONDS
from api.v1.schemas.events import FeedOut, FeedQuery, as_event_stream, show_feed
from core.errors import Invalid
from core.messages import EVENTS, MAY_PARK, PARK, Mark
from developers.roles import Right
from events.feed import FeedPage, Wanted, await_events, read_feed

LAST_EVENT_ID = "Last-Event-ID"
NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


class Feed(DeveloperEndpoint):
    @operation(
        "listEvents",
        "List the organization's events, oldest first, or wait for new ones",
        description="The events after the number `after`: what `GET /audit` lists, in the order of the log, with a "
        "number each. `types` are event types and patterns, separated by commas: `consent.*`, or `*` for all but "
        "`token.verify`. Without `types`, all events are listed, and their numbers have no gaps. With filters, `next` "
        "is the last number examined; a page examines up to 2,000 events and can be empty. If there are no more "
        "events, the response waits for `wait` seconds. It may come earlier, so use `next` and ask again. With "
        "`Accept: text/event-stream`, `wait` is 30 unless it is given, and the response ends after what there is: the "
        "client resumes. A key that is limited to some agents gets only their events.",
        answer=FeedOut,
        is_event_stream=True,
        right=Right.READ,
        about_agents=True,
    )
    def get(self, query: FeedQuery) -> HttpResponseBase:
        is_stream = self.request._request.get_preferred_type(["application/json", EVENT_STREAM]) == EVENT_STREAM
        wanted = Wanted(query.checked_types(), self._agent_ids(query))
        field, after = self._after(query)
        page = read_feed(self.organization_id, wanted, after=after, limit=query.limit, field=field)
        response = self._show(page, is_stream)
        wait = query.wait if query.wait is not None else MAX_WAIT_SECONDS * is_stream
        if wait and page.is_last and not page.events and self.request.META.get(MAY_PARK):
            about = await_events(self.organization_id, wanted, page)
            response[PARK] = Mark(EVENTS, about, wait, self.organization_id).encode()
        return response

    def _agent_ids(self, query: FeedQuery) -> frozenset[str] | None:
        if query.agent_id is None:
            return self.access.agent_ids
        self.access.require_agent(query.agent_id)
        return frozenset([query.agent_id])

    def _after(self, query: FeedQuery) -> tuple[str, int]:
        """Return the number of the last event that the client has, and the name of the parameter that says so."""
        resumed = self.request.headers.get(LAST_EVENT_ID)
        if resumed is None:
            return "after", query.after
        if not NUMBER.fullmatch(resumed):
            raise Invalid.field(LAST_EVENT_ID, "Must be the number of an event.")
        return LAST_EVENT_ID, int(resumed)

    def _show(self, page: FeedPage, is_stream: bool) -> HttpResponseBase:
        answer = self.operation.serialize(show_feed(page))
        if not is_stream:
            return Response(answer.body, status=answer.status)
        return HttpResponse(as_event_stream(answer.body, is_last=page.is_last), content_type=EVENT_STREAM)
