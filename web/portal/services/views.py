"""The resource servers of the developer's organization: the services that accept tokens of its users."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from accounts.errors import ReauthenticationRequired
from audit.events import Outcome
from audit.readers.services import Health, health_of_service
from core import clock
from core.errors import DomainError, Invalid, NotFound
from core.http import SeeOther
from core.text import plain_text
from developers.models import Developer
from developers.roles import Right
from resources.catalogue import Scope, catalogue, describe_scopes
from resources.models import CustomScope, ResourceServer
from resources.selectors import (
    live_server_secrets,
    own_prefixes,
    own_scopes,
    resource_server_for_organization,
    resource_servers_for_organization,
    unoffered_among,
)
from resources.services import (
    delete_resource_server,
    register_resource_server,
    rotate_resource_server_secret,
    update_resource_server,
)
from tokens.impact import impact_on_service
from web.forms.deleting import DeleteServerForm
from web.forms.fields import show_in
from web.portal.agents.forms import RotateForm
from web.portal.services.forms import NewServerForm, ServerForm
from web.requests import once
from web.requests.access import developer_actor, developer_form, developer_page
from web.requests.kept_post import take_initial
from web.requests.paging import paginate, part_of
from web.requests.portal import portal_url

MAX_SEARCH = 100
# The list has a search box from this number of resource servers.
SEARCH_FROM = 6
# The documentation page for each framework. The names of frameworks are not translated.
GUIDES = (
    ("protect-django", "Django"),
    ("protect-fastapi", "FastAPI"),
    ("protect-fastmcp", "FastMCP"),
    ("gateway", "MCP gateway"),
    ("python-sdk", "REST framework, Flask, Python"),
)


@developer_page(Right.READ)
def resource_servers(request: HttpRequest, developer: Developer) -> HttpResponse:
    """List the resource servers whose name or identifier contains `?q=`."""
    query = plain_text(request.GET.get("q", ""))[:MAX_SEARCH]
    found = _search(resource_servers_for_organization(developer.organization_id), query)
    page = paginate(request, found)
    context = {
        "total": found.count(),
        "page": page,
        "servers": [(server, _count_own(server)) for server in page.items],
        "query": query,
        "is_searchable": bool(query or page.cursor) or len(page.items) >= SEARCH_FROM,
    }
    return render(request, "web/portal/services/resource_servers.html", context)


@developer_form(Right.DEVELOP)
def create(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Register a resource server and define its first scope."""
    own = list(own_scopes(developer.organization_id))
    posted = request.POST if request.method == "POST" else None
    initial = take_initial(request, NewServerForm)
    form = NewServerForm(posted, own=own, organization=developer.organization, initial=initial)
    if form.is_valid():
        try:
            new = register_resource_server(
                actor=developer_actor(request, developer),
                organization=developer.organization,
                name=form.cleaned_data["name"],
                identifier=form.cleaned_data["identifier"],
                scopes=form.scopes,
            )
        except ReauthenticationRequired:
            raise
        except DomainError as error:
            form.show(error)
        else:
            once.put(request, new.server.id, new.secret)
            return SeeOther(url_of(new.server))
    prefixes = own_prefixes(developer.organization_id)
    return _edit_page(request, form, {"title": _("New resource server"), "prefixes": prefixes})


@developer_page(Right.READ)
def detail(request: HttpRequest, developer: Developer, server_id: str) -> HttpResponse:
    """Show a resource server, its scopes and secrets, and how to protect the service."""
    servers = list(resource_servers_for_organization(developer.organization_id))
    server = next((one for one in servers if one.id == server_id), None)
    if server is None:
        raise NotFound("No such resource server.")
    health = health_of_service(server.organization_id, server.id, clock.now())
    own = own_scopes(server.organization_id).select_related("organization")
    part = part_of(request, unoffered_among(own, servers))
    context = {
        "server": server,
        "health": health,
        "log_url": _log_url(server, health),
        "offered": _offered(server, own),
        "unoffered": replace(part, items=describe_scopes(part.items, own)),
        "secrets": live_server_secrets(server),
        "secret": once.take(request, server.id),
        "base_url": settings.API_URL,
        "example": next((one for one in server.scopes if one not in catalogue()), server.scopes[0]),
        "guides": GUIDES,
    }
    return render(request, "web/portal/services/resource_server.html", context)


@developer_form(Right.DEVELOP)
def edit(request: HttpRequest, developer: Developer, server_id: str) -> HttpResponse:
    """Change the name and the scopes. Scopes that were removed from the catalogue stay until others are chosen."""
    server = resource_server_for_organization(developer.organization_id, server_id)
    offered = _offered(server)
    form = ServerForm(
        request.POST if request.method == "POST" else None,
        own=list(own_scopes(developer.organization_id)),
        initial={
            "name": server.name,
            "own": [scope.id for scope in offered.own],
            "shared": [scope.id for scope in offered.shared],
        },
    )
    if form.is_valid():
        changes = {"name": form.cleaned_data["name"], "scopes": None if form.keeps_scopes else form.scopes}
        try:
            update_resource_server(actor=developer_actor(request, developer), server=server, **changes)
        except DomainError as error:
            form.show(error)
        else:
            messages.success(request, _("Saved."))
            return SeeOther(url_of(server))
    context = {"title": _("Edit resource server"), "server": server, "gone": offered.gone}
    return _edit_page(request, form, context)


@developer_form(Right.DEVELOP)
def rotate(request: HttpRequest, developer: Developer, server_id: str) -> HttpResponse:
    server = resource_server_for_organization(developer.organization_id, server_id)
    form = RotateForm(request.POST if request.method == "POST" else None, initial=take_initial(request, RotateForm))
    if form.is_valid():
        actor = developer_actor(request, developer)
        try:
            new = rotate_resource_server_secret(actor=actor, server=server, **form.cleaned_data)
        except Invalid as error:
            show_in(form, error, RotateForm.PLACES)
        else:
            once.put(request, server.id, new.value)
            return SeeOther(url_of(server))
    context = {"form": form, "name": server.name, "title": _("Rotate secret"), "back_url": url_of(server)}
    return render(request, "web/portal/keys/rotate.html", context, status=422 if form.is_bound else 200)


@developer_form(Right.DEVELOP)
def delete(request: HttpRequest, developer: Developer, server_id: str) -> HttpResponse:
    """Show what stops working and for how many users, and delete the resource server once its name is typed."""
    server = resource_server_for_organization(developer.organization_id, server_id)
    form = DeleteServerForm(request.POST if request.method == "POST" else None, expected=server.name)
    if form.is_valid():
        delete_resource_server(actor=developer_actor(request, developer), server=server)
        messages.success(request, _("Resource server deleted. Tokens for it are refused from now on."))
        return SeeOther(portal_url(developer.organization_id, "resource-servers"))
    now = clock.now()
    health = health_of_service(server.organization_id, server.id, now)
    context = {
        "form": form,
        "server": server,
        "own": _offered(server).own,
        "impact": impact_on_service(server, now),
        "health": health,
        "allowed_url": _log_url(server, health, outcome=Outcome.ALLOWED),
        "title": _("Delete %(server)s?") % {"server": plain_text(server.name)},
        "confirm_label": _("Delete resource server"),
        "back_url": url_of(server),
    }
    status = 422 if form.is_bound else 200
    return render(request, "web/portal/services/resource_server_delete.html", context, status=status)


def url_of(server: ResourceServer) -> str:
    return portal_url(server.organization_id, "resource-server", server.id)


def _log_url(server: ResourceServer, health: Health, **filters: str) -> str:
    """Return the log page with what the service asked during the time that `health` counts."""
    recent = {"server": server.id, "from": health.since.isoformat(timespec="seconds"), **filters}
    return portal_url(server.organization_id, "logs", query=recent)


def _search(rows: QuerySet[ResourceServer], query: str) -> QuerySet[ResourceServer]:
    return rows.filter(Q(name__icontains=query) | Q(identifier__icontains=query)) if query else rows


def _count_own(server: ResourceServer) -> int:
    """Return the number of its scopes that the organization defined."""
    return sum(scope not in catalogue() for scope in server.scopes)


class Offered(NamedTuple):
    """The scopes of a resource server: the organization's own, those of the catalogue, and ids no longer in it."""

    own: list[Scope]
    shared: list[Scope]
    gone: list[str]


def _offered(server: ResourceServer, own_rows: Iterable[CustomScope] | None = None) -> Offered:
    scopes = describe_scopes(server.scopes, own_rows)
    own, shared = [one for one in scopes if one.defined_by], [one for one in scopes if not one.defined_by]
    known = {one.id for one in scopes}
    return Offered(own, shared, [scope_id for scope_id in server.scopes if scope_id not in known])


def _edit_page(request: HttpRequest, form: ServerForm, context: dict[str, Any]) -> HttpResponse:
    status = 422 if form.is_bound else 200
    return render(request, "web/portal/services/resource_server_edit.html", {"form": form, **context}, status=status)
