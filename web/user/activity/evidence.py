"""Downloads of signed evidence: ask for the password first, then redirect to the API's download."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from accounts.recent import require_recent_sign_in, time_of_sign_in
from consent.selectors import consent_for_user
from core.http import SeeOther
from developers.models import Developer
from web.requests.access import developer_page, signed_in, user_page


@require_safe
@user_page
def own_log(request: HttpRequest) -> HttpResponse:
    return _download(request, "users/me/audit-export")


@require_safe
@user_page
def connection(request: HttpRequest, consent_id: str) -> HttpResponse:
    consent_for_user(signed_in(request), consent_id)
    return _download(request, f"users/me/consents/{consent_id}/evidence")


@require_safe
@developer_page
def organization(request: HttpRequest, developer: Developer) -> HttpResponse:
    return _download(request, "audit/export")


def _download(request: HttpRequest, path: str) -> HttpResponse:
    """Redirect to the endpoint, which does all other checks. It would answer an old sign-in with bare JSON."""
    require_recent_sign_in(time_of_sign_in(request))
    return SeeOther(f"/api/v1/{path}")
