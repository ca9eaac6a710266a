"""The base class of the admin pages: rows to find and to read. Changes are actions and forms with a reason."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db.models import CharField, Exists, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.recent import require_recent_sign_in, time_of_sign_in
from administration.actions import EditForm, Rows, administrator
from administration.guarded import GuardedAdmin
from administration.joined import join
from administration.kept_form import kept_form, take_reason
from administration.links import is_superuser, list_url, row_url
from administration.lists import EMAIL, TEXT, BoundedPaginator, describe_searches, find_lookup, kind_of, name_searches
from core.http import SeeOther

# Parts of names are searched for among the newest rows only, because no index finds them. Shorter parts are not.
NEWEST, SHORTEST_PART = 20_000, 3
# The annotations of a row that was read for its own page: whether it belongs to a superuser, and to the administrator.
OWNED, OWN = "is_owned_by_superuser", "is_owned_by_administrator"


class Offer(NamedTuple):
    """An action on the row of a page."""

    name: str
    title: Any
    is_harmful: bool


class ReadOnlyAdmin(GuardedAdmin):
    """Rows to search and read. Even superusers cannot add, change or delete rows with Django's forms.

    Changes are actions, and the form `edit_form`, if there is one. Both are available with Django's change permission
    for the model. Administrators who are not superusers may not act on rows of a superuser, on their own rows, or on
    rows of their organization. `owners` are the lookups from a row to the users that it belongs to.

    Lists are newest first, since tables have millions of rows. `searches` are the lookups for the kinds of text that
    can be searched for (see `administration.lists.find_lookup`), each answered by an index, and `searched_text` is what
    any other text is. If no row has exactly this name, the newest rows with the text in one of `parts` are found.
    """

    owners: Sequence[str] = ()
    searches: Mapping[str, str] = {}
    searched_text: Any = gettext_lazy("name")
    parts: Sequence[str] = ()
    edit_form: type[EditForm] | None = None
    shows_proof = False
    can_create = False
    paginator = BoundedPaginator
    sortable_by = ()
    list_per_page, list_max_show_all = 50, 0
    view_on_site = False

    @property
    def search_help_text(self) -> str:  # type: ignore[override]  # an attribute in the base class
        return describe_searches(self.searches, self.searched_text, can_be_part=bool(self.parts))

    @property
    def search_placeholder(self) -> str:
        return name_searches(self.searches, self.searched_text)

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        return list(self.searches.values())

    def get_search_results(self, request: HttpRequest, queryset: Rows, search_term: str) -> tuple[Rows, bool]:
        """Return the rows with exactly this id, address or name, or else with a part of it.

        Explain what can be searched for if the text is of no kind that can be.
        """
        text = search_term.strip()
        if not text:
            return queryset, False
        found, in_part = self.find_exactly(queryset, text), self.find_parts(queryset, text)
        if in_part is not None and (found is None or not found.exists()):
            return in_part, False
        if found is None:
            warn_of_search(request, self.search_help_text)
            return queryset.none(), False
        return found, False

    def find_exactly(self, rows: Rows, text: str) -> Rows | None:
        """Return the rows with exactly this id, address or name, or None if it is of no kind that can be found."""
        lookup = find_lookup(self.searches, text)
        return None if lookup is None else rows.filter(**lookup)

    def find_parts(self, rows: Rows, text: str) -> Rows | None:
        """Return the rows among the newest with this text in a name, or None if parts of it cannot be searched for."""
        kind = kind_of(text)
        names = [name for name in self.parts if kind == TEXT or (kind, name) == (EMAIL, "email")]
        if not names or len(text) < SHORTEST_PART:
            return None
        within: Q = reduce(or_, (Q(**{f"{name}__icontains": text}) for name in names))
        newest = self.model._default_manager.order_by("-pk").values("pk")
        oldest = Coalesce(Subquery(newest[NEWEST : NEWEST + 1]), Value(""), output_field=CharField())
        found: Rows = rows.filter(within, pk__gt=oldest)
        return found

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        return super().has_change_permission(request)

    def has_superuser_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_edit_permission(self, request: HttpRequest) -> bool:
        return self.has_act_permission(request)

    def problem_with_acting_on(self, request: HttpRequest, row: Any) -> str | None:
        """Return why the administrator may not act on this row, or None if `has_act_permission` is enough.

        It needs a query for a row that `get_object` or `_find` has not read. Superusers may act on what is their own,
        because an installation may have only one administrator.
        """
        if is_superuser(request):
            return None
        is_of_superuser, is_own = self.belongs(request, row)
        if is_of_superuser:
            return _("Only a superuser may act on a superuser or on what belongs to a superuser.")
        if is_own:
            return _("It belongs to you or to your organization, so another administrator must act on it.")
        return None

    def may_edit(self, request: HttpRequest, row: Any = None) -> bool:
        """Return whether the form, for this row or for a new one if none is given, is for this administrator.

        `problem_with_acting_on` may still forbid it.
        """
        return self.edit_form is not None and self.has_edit_permission(request) and (row is not None or self.can_create)

    def prepare(self, rows: Sequence[Any]) -> None:
        """Read what the columns of a list need besides its rows."""

    def joined_to(self, request: HttpRequest, row: Any) -> Any:
        """Return what the page of this row shows besides the row itself, or None."""
        return join(request, row)

    def offered_actions(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return the acts on this row. `problem_with_acting_on` may still forbid them.

        Several harmful ones are folded below the form, as `more_actions`.
        """
        actions = [found.func for found in self._actions(request).values() if found.func.applies(row)]
        offers = [Offer(action.name, action.title, action.is_harmful) for action in actions]
        harmful = [offer for offer in offers if offer.is_harmful]
        may_edit = self.may_edit(request, row)
        more = harmful if may_edit and len(harmful) > 1 else []
        return {"may_edit": may_edit, "actions": [offer for offer in offers if offer not in more], "more_actions": more}

    def get_queryset(self, request: HttpRequest) -> Rows:
        """Read related rows that the columns show together with the rows, also on the page of a row."""
        related = self.list_select_related
        rows = super().get_queryset(request)
        return rows.select_related(*related) if isinstance(related, list | tuple) and related else rows

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return the row with this id, or None."""
        try:
            return None if "\0" in object_id else self._rows_with_id(request, object_id).first()
        except ValidationError:
            return None

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        """Raise `Http404`. Django redirects to its overview, with a message."""
        raise Http404

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Any = None, **kwargs: Any
    ) -> TemplateResponse:
        """Show the row, its actions or why there are none, and what the site joins to it."""
        acts = self.offered_actions(request, obj)
        if any(acts.values()) and (problem := self.problem_with_acting_on(request, obj)):
            acts = {"problem": problem}
        own = {"opts": self.opts, "model_admin": self, "joined": self.joined_to(request, obj)}
        own["is_stopped"] = self.is_stopped(obj)
        shown = {**context, **own, **acts}
        return TemplateResponse(request, self.change_form_template or "admin/change_form.html", shown)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Show the list, or act on selected rows. Django ignores an action that the administrator may not do."""
        if request.method == "POST":
            self._check_action(request)
            if not request.POST.getlist(ACTION_CHECKBOX_NAME):
                messages.warning(request, _("Select at least one row."))
                return SeeOther(request.get_full_path())
        own = {"model_admin": self, "may_create": self.may_edit(request), "kept": kept_form(request)}
        return super().changelist_view(request, {**own, **(extra_context or {})})

    def get_urls(self) -> list[Any]:
        view, name = self.admin_site.admin_view, f"{self.opts.app_label}_{self.opts.model_name}"
        own = [
            path("<path:object_id>/act/<slug:action>/", view(self.act_view), name=f"{name}_act"),
            path("<path:object_id>/edit/", view(self.edit_view), name=f"{name}_edit"),
        ]
        if self.shows_proof:
            own.append(path("<path:object_id>/proof/", view(self.proof_view), name=f"{name}_proof"))
        if self.can_create:
            own.append(path("new/", view(self.edit_view), name=f"{name}_new"))
        return [*own, *(url for url in super().get_urls() if not str(url.name).endswith("_history"))]

    def act_view(self, request: HttpRequest, object_id: str, action: str) -> HttpResponse:
        """Show what an action on one row affects, or do it and return to the row, or to the list if it is gone."""
        rows = self._find(request, object_id)
        row, found = rows[0], self._actions(request).get(action)
        if found is None or (problem := self.problem_with_acting_on(request, row)):
            raise PermissionDenied(problem if found else None)
        asked: HttpResponse | None = found.func(self, request, rows, row)
        return asked or SeeOther(self._url_after(row.pk))

    def _url_after(self, pk: Any) -> str:
        """Return the URL of the row, or of the list if the action has deleted it."""
        exists = self.model._default_manager.filter(pk=pk).exists()
        return row_url(self.model, pk) if exists else list_url(self.model)

    def edit_view(self, request: HttpRequest, object_id: str = "") -> HttpResponse:
        """Show the form of a row, or of a new one, or save it."""
        row = self._find(request, object_id)[0] if object_id else None
        if not self.may_edit(request, row) or self.edit_form is None:
            raise PermissionDenied
        if row is not None and (problem := self.problem_with_acting_on(request, row)):
            raise PermissionDenied(problem)
        require_recent_sign_in(time_of_sign_in(request))
        sent = request.POST if request.method == "POST" else None
        form = self.edit_form(sent, row, request.user, take_reason(request))
        if form.is_valid() and (saved := form.save(administrator(request))) is not None:
            messages.success(request, _("Saved.") if row is None or form.changed() else _("Nothing was changed."))
            return SeeOther(row_url(self.model, saved.pk))
        context = {**self.admin_site.each_context(request), "model_admin": self, "row": row, "form": form}
        context |= {"opts": self.opts}
        return TemplateResponse(request, "admin/edit.html", context, status=422 if form.errors else 200)

    def proof_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what the log says about the newest stop of a row. Raises `Http404` if it was never stopped."""
        row = self._find(request, object_id)[0]
        lines = self.proof_of(row)
        if not lines:
            raise Http404
        context = {**self.admin_site.each_context(request), "opts": self.opts, "model_admin": self, "row": row}
        return TemplateResponse(request, "admin/proof.html", context | {"lines": lines})

    def is_stopped(self, row: Any) -> bool:
        """Return whether a stop of the row is in force, so that its page links to the proof."""
        return False

    def proof_of(self, row: Any) -> list[str]:
        """Return what the log says about the newest stop of a row. Needed with `shows_proof`."""
        raise NotImplementedError

    def _actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return Django's `Action` of each name, which the stubs take for a tuple."""
        return self.get_actions(request)

    def _check_action(self, request: HttpRequest) -> None:
        """Raise `BadRequest` for an action that does not exist, and `PermissionDenied` for one of other roles."""
        name = request.POST.get("action")
        if name not in {getattr(action, "__name__", action) for action in self.actions or ()}:
            raise BadRequest("The action does not exist.")
        if name not in self._actions(request):
            raise PermissionDenied

    def _find(self, request: HttpRequest, object_id: str) -> Rows:
        """Return the row with this id, as rows that have been read. Raises `Http404` and `PermissionDenied`."""
        try:
            rows = self._rows_with_id(request, unquote(object_id))
        except ValidationError as error:
            raise Http404 from error
        if not rows:
            raise Http404
        if not self.has_view_permission(request, rows[0]):
            raise PermissionDenied
        return rows

    def _rows_with_id(self, request: HttpRequest, object_id: str) -> Rows:
        """Return the row with this id, if there is one, and to whom it belongs.

        Raises `ValidationError` for an impossible id.
        """
        rows: Rows = self.get_queryset(request).filter(pk=self.opts.pk.to_python(object_id))
        return rows if is_superuser(request) else self._with_owners(request, rows)  # it does not matter to superusers

    def belongs(self, request: HttpRequest, row: Any) -> tuple[bool, bool]:
        """Return whether the row belongs to a superuser, and whether to the administrator or their organization."""
        if hasattr(row, OWNED):
            return getattr(row, OWNED), getattr(row, OWN)
        rows = self._with_owners(request, self.model._default_manager.filter(pk=row.pk))
        return rows.values_list(OWNED, OWN).first() or (False, False)

    def _with_owners(self, request: HttpRequest, rows: Rows) -> Rows:
        of_superuser, own = self._owned("is_superuser", value=True), self._owned("pk", value=request.user.pk)
        owned: Rows = rows.annotate(**{OWNED: of_superuser, OWN: own})
        return owned

    def _owned(self, name: str, *, value: Any) -> Exists:
        """Return the condition for rows that belong to a user with this value in the field `name`."""
        theirs: Q = reduce(or_, (_belonging_to(owner, name, value) for owner in self.owners), Q(pk__in=()))
        return Exists(self.model._default_manager.filter(theirs, pk=OuterRef("pk")))


def _belonging_to(owner: str, name: str, value: Any) -> Q:
    """Return the condition on a user, or on the users who are members of an organization now."""
    conditions = {f"{owner}__{name}": value}
    if owner.endswith("developers__user"):
        conditions[f"{owner.removesuffix('user')}ended_at"] = None
    return Q(**conditions)


def warn_of_search(request: HttpRequest, help_text: str) -> None:
    messages.warning(request, _("Nothing was searched. %(what)s") % {"what": help_text})
