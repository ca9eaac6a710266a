"""The developer's saved views of the log."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from core.errors import Invalid
from core.http import SeeOther
from developers.models import Developer, SavedView
from developers.saved_views import delete_view, rename_view, save_view
from developers.selectors import saved_views
from web.forms.errors import show_in
from web.forms.filters import Chip
from web.portal.logs.forms import LogFilterForm, ViewForm
from web.portal.logs.names import OwnNames, suggested_names
from web.requests.access import developer_actor, developer_page, posted_from


@require_http_methods(["GET", "HEAD", "POST"])
@developer_page
def views(request: HttpRequest, developer: Developer) -> HttpResponse:
    """List the views, each with a form that renames it. POST saves a new one."""
    if request.method != "POST":
        return _list(request, developer)
    form = ViewForm(request.POST)
    if form.is_valid():
        try:
            view = save_view(
                actor=developer_actor(request, developer),
                developer=developer,
                name=form.cleaned_data["name"],
                query=_cleaned(form.cleaned_data["query"], developer),
            )
        except Invalid as error:
            show_in(form, error)
        else:
            messages.success(request, _("View saved."))
            return SeeOther(f"{reverse('web:logs')}?{view.query}")
    return _list(request, developer, new=form)


@developer_page
@posted_from("web:log-views")
def rename(request: HttpRequest, developer: Developer, view_id: str) -> HttpResponse:
    form = ViewForm(request.POST, auto_id=f"id_{view_id}_%s")
    if form.is_valid():
        actor, name = developer_actor(request, developer), form.cleaned_data["name"]
        try:
            rename_view(actor=actor, developer=developer, view_id=view_id, name=name)
        except Invalid as error:
            show_in(form, error)
        else:
            messages.success(request, _("View renamed."))
            return SeeOther(reverse("web:log-views"))
    return _list(request, developer, renamed=(view_id, form))


@developer_page
@posted_from("web:log-views")
def delete(request: HttpRequest, developer: Developer, view_id: str) -> HttpResponse:
    delete_view(actor=developer_actor(request, developer), developer=developer, view_id=view_id)
    messages.success(request, _("View deleted. The entries stay in the log."))
    return SeeOther(reverse("web:log-views"))


def _list(
    request: HttpRequest,
    developer: Developer,
    *,
    new: ViewForm | None = None,
    renamed: tuple[str, ViewForm] | None = None,
) -> HttpResponse:
    refused = new or (renamed and renamed[1])
    own = suggested_names(developer)
    forms = [
        (view, _filters(view, own), renamed[1] if renamed and renamed[0] == view.pk else ViewForm.about(view))
        for view in saved_views(developer)
    ]
    context = {"views": forms, "new": new, "form": refused}
    return render(request, "web/portal/logs/log_views.html", context, status=422 if refused else 200)


def _filters(view: SavedView, own: OwnNames) -> list[Chip]:
    """Return what the view filters by, as the log's page says it."""
    return list(LogFilterForm(QueryDict(view.query), names=own).chips())


def _cleaned(query: str, developer: Developer) -> str:
    """Return only what the log's form takes for filters."""
    return LogFilterForm(QueryDict(query), names=suggested_names(developer)).query()
