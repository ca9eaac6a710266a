"""Actions on rows in the admin site. Each shows what it affects, asks for a reason, and works through a service."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from core.actor import Actor
from core.canonical import canonical_json, sha256
from core.errors import DomainError
from core.http import visitor
from core.kept_form import take_reason
from core.text import plain_text

if TYPE_CHECKING:
    from core.administration import ReadOnlyAdmin

MAX_REASON_LENGTH = 300
# Each row is changed in a transaction of its own, a thousand in about ten seconds.
MAX_ROWS = 1000

type Rows = QuerySet[Any]
type Act = Callable[[Actor, Any, str], bool]
type Impact = Callable[[Rows], Iterable[str]]
type Applies = Callable[[Any], bool]
type Facts = Callable[[Any], str]

CHANGED = gettext_lazy("This has changed since the page was shown. Check it again, then confirm.")


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=MAX_REASON_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text=gettext_lazy("The reason is stored permanently in the audit log, so do not include personal data."),
    )

    def clean_reason(self) -> str:
        """Refuse a reason without visible characters."""
        reason: str = self.cleaned_data["reason"]
        if not plain_text(reason):
            raise forms.ValidationError(self.fields["reason"].error_messages["required"], code="required")
        return reason


def administrator(request: HttpRequest) -> Actor:
    """Return the signed-in administrator as the actor."""
    return visitor(request).acting_as("administrator", str(request.user.pk))


def _always(row: Any) -> bool:
    return True


def _nothing(row: Any) -> str:
    return ""


def reasoned_action(
    title: Any,
    *,
    many: Any,
    impact: Impact,
    unchanged: Any,
    permission: str = "act",
    applies: Applies = _always,
    decided_on: Facts = _nothing,
) -> Callable[[Act], Any]:
    """Return a decorator that makes an admin action of `act(actor, row, reason) -> changed`.

    `title` names the action on one row, and `many` on those selected in a list. It needs a recent sign-in, and first
    shows a page that asks for the reason and lists the lines of `impact(rows)`: what it affects. The page of a row
    offers it if `applies(row)`. If what a row is `decided_on` has changed since the page was shown, it is shown again.
    `unchanged` says why `act` does not change a row: "already suspended". Each row has its own transaction, because a
    lock over many rows would block all decisions.
    """

    def decorate(act: Act) -> Any:
        def action(
            model_admin: "ReadOnlyAdmin", request: HttpRequest, rows: Rows, one: Any = None
        ) -> TemplateResponse | None:
            """Do it to `rows`. `one` is the row whose page it was started from."""
            model_admin.require_recent_sign_in(request)
            if refusal := _problem_with(rows):
                messages.error(request, refusal)
                return None
            form = _read_form(request, _digest(rows, decided_on))
            if not form.is_valid():
                return _ask(model_admin, request, rows, one, form, action)
            actor, reason = administrator(request), form.cleaned_data["reason"]
            problems = [(row, model_admin.problem_with_acting_on(request, row)) for row in list(rows)]
            for row, problem in problems:
                if problem:
                    model_admin.admin_site.record_refusal(request, row.pk, act.__name__)
            outcomes = [
                f"{row}: {problem}" if problem else _attempt(act, actor, row, reason) for row, problem in problems
            ]
            _report(request, outcomes, unchanged)
            return None

        action.__name__ = act.__name__
        shown = {"name": act.__name__, "title": title, "many": many, "impact": impact, "applies": applies}
        shown["decided_on"] = decided_on
        for name, value in shown.items():
            setattr(action, name, value)
        return admin.action(description=many, permissions=[permission])(action)

    return decorate


def _read_form(request: HttpRequest, decided_on: str) -> ReasonForm:
    """Return the form as it was sent, or empty before that."""
    sent = request.POST if "confirmed" in request.POST else None
    form = ReasonForm(sent, initial={"reason": take_reason(request)})
    if form.is_valid() and request.POST.get("decided_on", "") != decided_on:
        form.add_error(None, CHANGED)
    return form


def _digest(rows: Rows, decided_on: Facts) -> str:
    """Return a digest of what the rows are decided on, "" if that is nothing."""
    facts = sorted((str(row.pk), fact) for row in rows if (fact := decided_on(row)))
    return sha256(canonical_json(facts)) if facts else ""


def _problem_with(rows: Rows) -> str:
    """Return why no action takes these rows, or an empty string."""
    if _is_more(rows):
        return _("Select at most %(most)s rows at a time.") % {"most": f"{MAX_ROWS:,}"}
    return "" if rows else _("None of the selected rows was found. They may have been deleted.")


def _is_more(rows: Rows) -> bool:
    """Return whether there are more rows than one action takes. Rows that have been read are not counted again."""
    is_read = rows._result_cache is not None
    return (len(rows) if is_read else rows[: MAX_ROWS + 1].count()) > MAX_ROWS


def _ask(
    model_admin: "ReadOnlyAdmin", request: HttpRequest, rows: Rows, one: Any, form: ReasonForm, action: Any
) -> TemplateResponse:
    total = len(rows)  # reads the rows once, for all that follows
    context = {
        **model_admin.admin_site.each_context(request),
        "title": action.title if one else action.many,
        "opts": model_admin.model._meta,
        "model_admin": model_admin,
        "form": form,
        "impact": list(action.impact(rows)),
        "figures": model_admin.admin_site.figures_of(request, rows[0]) if total == 1 else [],
        "rows": rows[:20],
        "total": total,
        "decided_on": _digest(rows, action.decided_on),
        "one": one,
        "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "action": action.__name__,
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


def _report(request: HttpRequest, outcomes: list[bool | str], why: Any) -> None:
    done, unchanged = outcomes.count(True), outcomes.count(False)
    lines = [ngettext("%(number)d row changed.", "%(number)d rows changed.", done) % {"number": done}]
    if unchanged:
        words = ngettext(
            "%(number)d row stayed as it was: %(why)s.", "%(number)d rows stayed as they were: %(why)s.", unchanged
        )
        lines.append(words % {"number": unchanged, "why": why})
    (messages.success if done else messages.warning)(request, " ".join(lines))
    for outcome in outcomes:
        if isinstance(outcome, str):
            messages.error(request, outcome)
