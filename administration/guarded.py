"""Admin pages that accept only the filters, pages and columns that they offer.

Django's list pages filter by any column that the URL names, even of other models: a staff member with view
permission could read a password hash with `?password__startswith=`, letter by letter.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR, ChangeList
from django.core.exceptions import BadRequest, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

FILTER_LOOKUPS = ("", "__exact", "__isnull", "__isempty", "__gte", "__lt")


class GuardedAdmin(admin.ModelAdmin):
    """Lists that filter only by `list_filter` and the ids of related rows, without counts that read whole tables."""

    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        """Return whether the list may be filtered by this lookup. If not, Django responds with 400."""
        return lookup in set(self._offered_lookups(request))

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Raise `BadRequest` for a value that the column cannot hold and for a page that does not exist."""
        try:
            changelist = super().get_changelist_instance(request)
            _check_page(request, changelist)
            _check_order(request, changelist)
        except (IncorrectLookupParameters, OverflowError, ValueError) as error:
            raise BadRequest("The URL contains a filter value, page or column that does not exist.") from error
        return changelist

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], **options: Any) -> Any:
        """Raise `BadRequest` for a selected row with an impossible id, which would make Django fail."""
        try:
            for text in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.opts.pk.clean(text, None)
        except ValidationError as error:
            raise BadRequest("A selected row does not exist.") from error
        return super().response_action(request, queryset, **options)

    def _offered_lookups(self, request: HttpRequest) -> Iterator[str]:
        for spec in self.get_list_filter(request):
            if isinstance(spec, str | tuple):
                name = spec if isinstance(spec, str) else spec[0]
                yield from (f"{name}{lookup}" for lookup in FILTER_LOOKUPS)
            elif isinstance(spec, type) and issubclass(spec, admin.SimpleListFilter):
                yield str(spec.parameter_name)
        if self.opts.pk.name == "id":
            yield "id__exact"
        yield from (f"{field.name}__id__exact" for field in self.opts.fields if field.is_relation)


def _check_page(request: HttpRequest, changelist: ChangeList) -> None:
    """Raise `IncorrectLookupParameters` for a page beyond the last, even if there is only one."""
    for text in request.GET.getlist(PAGE_VAR):
        if not 1 <= int(text) <= changelist.paginator.num_pages:
            raise IncorrectLookupParameters


def _check_order(request: HttpRequest, changelist: ChangeList) -> None:
    """Raise `IncorrectLookupParameters` for a column by which the list cannot be sorted."""
    sortable = [number for number, name in enumerate(changelist.list_display) if name in (changelist.sortable_by or ())]
    columns = ".".join(request.GET.getlist(ORDER_VAR)).split(".")
    if not all(abs(int(column)) in sortable for column in columns if column):
        raise IncorrectLookupParameters
