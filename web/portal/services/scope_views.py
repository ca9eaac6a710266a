"""The scopes that the developer's organization defines for its resource servers."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from core.errors import DomainError, NotFound
from core.http import SeeOther
from developers.models import Developer
from developers.roles import Right
from resources.catalogue import describe_scopes
from resources.models import CustomScope, ResourceServer
from resources.selectors import own_prefixes, own_scopes, resource_server_for_organization
from resources.services import change_scope, define_scope
from web.portal.services.forms import ScopeForm
from web.portal.services.views import url_of
from web.requests.access import developer_actor, developer_form

FIELDS = ("title", "description", "cannot", "risk_level", "labels", "is_reversible", "covers", "excludes")


@developer_form(Right.DEVELOP)
def create(request: HttpRequest, developer: Developer, server_id: str) -> HttpResponse:
    """Define a scope and add it to the resource server."""
    server = resource_server_for_organization(developer.organization_id, server_id)
    form = ScopeForm(request.POST if request.method == "POST" else None, organization=developer.organization)
    if form.is_valid():
        actor = developer_actor(request, developer)
        try:
            define_scope(actor=actor, server=server, scope=form.definition())
        except DomainError as error:
            form.show(error)
        else:
            messages.success(request, _("Scope added. Agents can ask for it once it is among their allowed scopes."))
            return SeeOther(url_of(server))
    prefixes = own_prefixes(developer.organization_id)
    return _page(request, form, {"server": server, "title": _("New scope"), "prefixes": prefixes})


@developer_form(Right.DEVELOP)
def edit(request: HttpRequest, developer: Developer, server_id: str, scope_id: str) -> HttpResponse:
    """Change the texts of a scope. Its id does not change, because tokens and consents contain it."""
    server = resource_server_for_organization(developer.organization_id, server_id)
    scope = _own_scope(server, scope_id)
    initial = {"scope_id": scope.id, **{name: getattr(scope, name) for name in FIELDS}}
    posted = _posted(request, scope) if request.method == "POST" else None
    form = ScopeForm(posted, initial=initial, organization=developer.organization)
    if form.is_valid():
        actor = developer_actor(request, developer)
        try:
            change_scope(actor=actor, server=server, scope=form.definition())
        except DomainError as error:
            form.show(error)
        else:
            messages.success(request, _("Saved."))
            return SeeOther(url_of(server))
    (shown,) = describe_scopes([scope.id])
    return _page(request, form, {"server": server, "title": _("Edit scope"), "scope": shown})


def _own_scope(server: ResourceServer, scope_id: str) -> CustomScope:
    """Return the scope with this id that the resource server's organization defined. Raises `NotFound`."""
    found = own_scopes(server.organization_id).filter(id=scope_id).first()
    if found is None:
        raise NotFound("No such scope.")
    return found


def _posted(request: HttpRequest, scope: CustomScope) -> Any:
    """Return what was posted, with the id of the scope, which cannot be changed."""
    posted = request.POST.copy()
    posted["scope_id"] = scope.id
    return posted


def _page(request: HttpRequest, form: ScopeForm, context: dict[str, Any]) -> HttpResponse:
    status = 422 if form.is_bound else 200
    return render(request, "web/portal/services/own_scope.html", {"form": form, **context}, status=status)
