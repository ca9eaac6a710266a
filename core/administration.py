"""Base classes for the admin pages. Every change goes through a service, with a reason and the administrator."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core.actor import Actor
from core.admin_lists import BoundedPaginator, describe_searches, find_lookup
from core.errors import DomainError
from core.guarded_admin import GuardedAdmin
from core.http import visitor
from core.text import escape_invisible, plain_text

MAX_REASON_LENGTH = 300
# Each row is changed in a transaction of its own, a thousand in about ten seconds.
MAX_ROWS = 1000

type Rows = QuerySet[Any]
type Act = Callable[[Actor, Any, str], bool]
type Impact = Callable[[Rows], Iterable[str]]


class ReadOnlyAdmin(GuardedAdmin):
    """Rows to search and read. Even superusers cannot add, change or delete rows directly.

    Changes are actions, available with Django's change permission for the model. Only superusers may act on rows
    that belong to superusers. `owners` are the lookups from a row to the users that it belongs to.

    Lists are newest first, since tables have millions of rows. `searches` are the lookups for the kinds of text that
    can be searched for (see `core.admin_lists.find_lookup`), each answered by an index, and `searched_text` is what
    any other text is.
    """

    owners: Sequence[str] = ()
    searches: Mapping[str, str] = {}
    searched_text = "name"
    paginator = BoundedPaginator
    sortable_by = ()
    list_per_page = 50
    view_on_site = False

    @property
    def search_help_text(self) -> str:  # type: ignore[override]  # an attribute in the base class
        return describe_searches(self.searches, self.searched_text)

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        return list(self.searches.values())

    def get_search_results(self, request: HttpRequest, queryset: Rows, search_term: str) -> tuple[Rows, bool]:
        """Return the rows with exactly this id, address or name. Explain what can be searched for if it is neither."""
        text = search_term.strip()
        if not text:
            return queryset, False
        lookup = find_lookup(self.searches, text)
        if lookup is None:
            messages.warning(request, f"Nothing was searched. Enter: {self.search_help_text}")
            return queryset.none(), False
        return queryset.filter(**lookup), False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        return super().has_change_permission(request)

    def problem_with_acting_on(self, request: HttpRequest, row: Any) -> str | None:
        """Return why the administrator may not act on this row, or None if `has_act_permission` is enough."""
        if is_superuser(request) or not self._belongs_to_superuser(row):
            return None
        return f"{row}: only a superuser may act on a superuser or on what belongs to a superuser."

    def may_act_on(self, request: HttpRequest, row: Any = None) -> bool:
        """Return whether the administrator may act on this row, or on any row if none is given."""
        return self.has_act_permission(request) and (row is None or self.problem_with_acting_on(request, row) is None)

    def _belongs_to_superuser(self, row: Any) -> bool:
        rows = self.model._default_manager.filter(pk=row.pk)
        return any(rows.filter(**{f"{owner}__is_superuser": True}).exists() for owner in self.owners)


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=MAX_REASON_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text="The reason is stored permanently in the audit log, so do not include personal data.",
    )

    def clean_reason(self) -> str:
        """Refuse a reason without visible characters."""
        reason: str = self.cleaned_data["reason"]
        if not plain_text(reason):
            raise forms.ValidationError(self.fields["reason"].error_messages["required"], code="required")
        return reason


def is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and getattr(request.user, "is_superuser", False))


def administrator(request: HttpRequest) -> Actor:
    """Return the signed-in administrator as the actor."""
    return visitor(request).acting_as("administrator", str(request.user.pk))


def reasoned_action(description: str, *, impact: Impact) -> Callable[[Act], Any]:
    """Return a decorator that makes an admin action of `act(actor, row, reason) -> changed`.

    The action first shows a page that asks for the reason and lists the lines of `impact(rows)`: what it affects.
    Each row has its own transaction, because a lock over many rows would block all decisions.
    """

    def decorate(act: Act) -> Any:
        def action(model_admin: ReadOnlyAdmin, request: HttpRequest, rows: Rows) -> TemplateResponse | None:
            if rows[: MAX_ROWS + 1].count() > MAX_ROWS:
                messages.error(request, f"Select at most {MAX_ROWS:,} rows at a time.")
                return None
            form = ReasonForm(request.POST if "confirmed" in request.POST else None)
            if not form.is_valid():
                return _ask(
                    model_admin, request, rows, form=form, title=description, action=act.__name__, impact=impact
                )
            actor, reason = administrator(request), form.cleaned_data["reason"]
            problems = [(row, model_admin.problem_with_acting_on(request, row)) for row in list(rows)]
            _report(request, [problem or _attempt(act, actor, row, reason) for row, problem in problems])
            return None

        action.__name__ = act.__name__
        return admin.action(description=description, permissions=["act"])(action)

    return decorate


def counted(number: int, one: str, many: str) -> str:
    """Return "1 agent" or "3 agents"."""
    return f"{number} {one if number == 1 else many}"


def link_to_rows(model: type[Model], text: str, **filters: str) -> SafeString:
    """Return a link to the model's list, filtered by `filters`."""
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', url, urlencode(filters), text)


def show_lines(lines: Sequence[str]) -> SafeString:
    """Return the lines as a list, or a dash without any."""
    return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", ((line,) for line in lines or ["-"])))


def pretty(value: Any) -> SafeString:
    """Return indented JSON. Invisible characters are escaped rather than removed, so that evidence stays complete."""
    lines = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True).splitlines()
    return format_html("<pre>{}</pre>", "\n".join(map(escape_invisible, lines)))


def _ask(
    model_admin: ReadOnlyAdmin,
    request: HttpRequest,
    rows: Rows,
    *,
    form: ReasonForm,
    title: str,
    action: str,
    impact: Impact,
) -> TemplateResponse:
    chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.model._meta,
        "form": form,
        "impact": list(impact(rows)),
        "rows": rows[:20],
        "total": rows.count(),
        "chosen": chosen,
        "action": action,
        "select_across": request.POST.get("select_across", "0"),
        "checkbox_name": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/reasoned_action.html", context, status=422 if form.errors else 200)


def _attempt(act: Act, actor: Actor, row: Any, reason: str) -> bool | str:
    """Return whether the row changed, or an error message."""
    try:
        return act(actor, row, reason)
    except DomainError as error:
        return f"{row}: {error.translated}"


def _report(request: HttpRequest, outcomes: list[bool | str]) -> None:
    done = outcomes.count(True)
    unchanged = outcomes.count(False)
    messages.success(request, f"Done: {done}." + (f" Unchanged: {unchanged}." if unchanged else ""))
    for outcome in outcomes:
        if isinstance(outcome, str):
            messages.error(request, outcome)
