"""Signed evidence of an organization's log, which endpoints of the API make."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import resolve

from accounts.recent import require_recent_sign_in, time_of_sign_in
from developers.models import Developer
from developers.roles import Right
from web.requests.access import developer_page


@developer_page(Right.READ)
def export(request: HttpRequest, developer: Developer) -> HttpResponseBase:
    require_recent_sign_in(time_of_sign_in(request))  # the endpoint would answer an old sign-in with bare JSON
    return _call(request, developer, "audit/export")


@developer_page(Right.READ)
def proof(request: HttpRequest, developer: Developer, entry_id: str) -> HttpResponseBase:
    return _call(request, developer, f"audit/{entry_id}/proof")


def _call(request: HttpRequest, developer: Developer, path: str) -> HttpResponseBase:
    """Return the answer of an endpoint, about this organization. A redirect could not send the header for that."""
    endpoint = resolve(f"/api/v1/{path}")
    request.META["HTTP_X_ORGANIZATION"] = developer.organization_id
    request.__dict__.pop("headers", None)  # they have been read and kept
    response: HttpResponseBase = endpoint.func(request, *endpoint.args, **endpoint.kwargs)
    return response
