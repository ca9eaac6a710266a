"""Changes to rows in the admin site: actions and forms.

Each needs a recent sign-in, shows what it affects, asks for a reason, and works through a service.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from accounts.access import record_refusal
from accounts.recent import require_recent_sign_in, time_of_sign_in
from administration.joined import figures_of
from administration.kept_form import take_reason
from administration.links import named
from core.actor import Actor
from core.canonical import canonical_json, sha256
from core.errors import DomainError
from core.http import visitor
from core.text import plain_text

MAX_REASON_LENGTH = 300
# Each row is changed in a transaction of its own, a thousand in about ten seconds.
MAX_ROWS = 1000
# Longer ids and names of actions are cut in the log.
MAX_LOGGED = 100
# The figures about a row that no line of an impact says.
UNSAID = frozenset({"stopped", "approvals"})

type Rows = QuerySet[Any]
type Act = Callable[[Actor, Any, str], bool]
type Impact = Callable[[Rows], Iterable[str]]
type Applies = Callable[[Any], bool]
type Facts = Callable[[Any], str]

AGENTS = ngettext_lazy("%(number)d agent", "%(number)d agents", "number")
CONNECTED_AGENTS = ngettext_lazy("%(number)d connected agent", "%(number)d connected agents", "number")
USERS = ngettext_lazy("%(number)d user", "%(number)d users", "number")
ORGANIZATIONS = ngettext_lazy("%(number)d organization", "%(number)d organizations", "number")
SESSIONS = ngettext_lazy("%(number)d API session", "%(number)d API sessions", "number")
FACTORS = ngettext_lazy("%(number)d passkey or app", "%(number)d passkeys and apps", "number")
CONSENTS = ngettext_lazy("%(number)d live consent", "%(number)d live consents", "number")
FAMILIES = ngettext_lazy("%(number)d live token family", "%(number)d live token families", "number")
POLICIES = ngettext_lazy("%(number)d policy", "%(number)d policies", "number")
REPORTS = ngettext_lazy("%(number)d report by users", "%(number)d reports by users", "number")
MEMBERS = ngettext_lazy("%(number)d administrator", "%(number)d administrators", "number")

CHANGED = gettext_lazy("This has changed since the page was shown. Check it again, then confirm.")


class Page(Protocol):
    """What an action needs of the `ReadOnlyAdmin` of its rows."""

    model: Any
    admin_site: admin.AdminSite

    def problem_with_acting_on(self, request: HttpRequest, row: Any) -> str | None: ...


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=MAX_REASON_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text=gettext_lazy("The reason is stored permanently in the audit log, so do not include personal data."),
        error_messages={"max_length": gettext_lazy("At most %(limit_value)d characters.")},
    )

    def clean_reason(self) -> str:
        """Refuse a reason without visible characters."""
        reason: str = self.cleaned_data["reason"]
        if not plain_text(reason):
            raise forms.ValidationError(self.fields["reason"].error_messages["required"], code="required")
        return reason


class EditForm(ReasonForm):
    """Fields of a row, followed by the reason. `row` is None for a new row."""

    def __init__(self, data: Any, row: Any, editor: Any, reason: str = "") -> None:
        """`editor` is the administrator, and `reason` what they typed before they had to enter the password."""
        self.row, self.editor = row, editor
        super().__init__(data, initial={**self.read(row), "reason": reason})
        self.order_fields([*(name for name in self.fields if name != "reason"), "reason"])

    def read(self, row: Any) -> dict[str, Any]:
        """Return the values of the row."""
        raise NotImplementedError

    def write(self, actor: Actor, reason: str) -> Any:
        """Store the cleaned values, and return the row. May raise a `DomainError`."""
        raise NotImplementedError

    def save(self, actor: Actor) -> Any:
        """Return the row, or None if the service refuses the values. The form then has its errors."""
        try:
            return self.write(actor, self.cleaned_data["reason"])
        except DomainError as error:
            for one in error.errors:
                self.add_error(one.field if one.field in self.fields else None, one.translated)
            if not error.errors:
                self.add_error(None, error.translated)
        return None

    def changed(self) -> dict[str, Any]:
        """Return the cleaned values that differ from the row's."""
        return {name: self.cleaned_data[name] for name in self.changed_data if name != "reason"}


def administrator(request: HttpRequest) -> Actor:
    """Return the signed-in administrator as the actor."""
    return visitor(request).acting_as("administrator", str(request.user.pk))


def record_refused_act(request: HttpRequest, row_id: str, act: str) -> None:
    """Log that the administrator may not do this. `row_id` and `act` are what they sent, or empty."""
    sent = {"row": plain_text(row_id)[:MAX_LOGGED], "action": plain_text(act)[:MAX_LOGGED]}
    page = request.resolver_match.view_name if request.resolver_match else ""
    metadata = {name: text for name, text in sent.items() if text}
    record_refusal(actor=administrator(request), page=page, metadata=metadata)


def counted(number: int, words: Any) -> str:
    """Return "1 agent" or "3 agents". `words` is an `ngettext_lazy` of "%(number)d agent"."""
    return str(words % {"number": number})


def count_many(rows: Rows, words: Any) -> list[str]:
    """Return how many rows there are, unless it is one, which the page names."""
    number = rows.count()
    return [] if number == 1 else [counted(number, words)]


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
    question: Any = "",
    is_harmful: bool = False,
    permission: str = "act",
    applies: Applies = _always,
    decided_on: Facts = _nothing,
) -> Callable[[Act], Any]:
    """Return a decorator that makes an admin action of `act(actor, row, reason) -> changed`.

    `title` names the action on one row, and `many` on those selected in a list. It needs a recent sign-in, and first
    shows a page that asks the `question` about the row, and for the reason, and says with `impact(rows)` what it
    affects: in counts, such as "1 agent", and in sentences. Its button is red if it `is_harmful`. The page of a row
    offers it if `applies(row)`. If what a row is `decided_on` has changed since the page was shown, it is shown again.
    `unchanged` says why `act` does not change a row: "already suspended". Each row has its own transaction, because a
    lock over many rows would block all decisions.
    """

    def decorate(act: Act) -> Any:
        def action(model_admin: Page, request: HttpRequest, rows: Rows, one: Any = None) -> TemplateResponse | None:
            """Act on `rows`. `one` is the row whose page the action was started from."""
            require_recent_sign_in(time_of_sign_in(request))
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
                    record_refused_act(request, row.pk, act.__name__)
            outcomes = [
                f"{row}: {problem}" if problem else _attempt(act, actor, row, reason) for row, problem in problems
            ]
            _report(request, outcomes, unchanged)
            return None

        action.__name__ = act.__name__
        shown = {"name": act.__name__, "title": title, "many": many, "impact": impact, "applies": applies}
        shown |= {"decided_on": decided_on, "question": question, "is_harmful": is_harmful}
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
    model_admin: Page, request: HttpRequest, rows: Rows, one: Any, form: ReasonForm, action: Any
) -> TemplateResponse:
    total = len(rows)  # reads the rows once, for all that follows
    row = rows[0] if total == 1 else None
    found = figures_of(request, row) if row else []
    impact = list(action.impact(rows))
    context = {
        **model_admin.admin_site.each_context(request),
        "title": action.title if row else action.many,
        "question": format_html(action.question, named(_name_of(row))) if row and action.question else "",
        "is_harmful": action.is_harmful,
        "opts": model_admin.model._meta,
        "model_admin": model_admin,
        "form": form,
        "impact": impact,
        "sentences": _sentences(impact),
        "figures": [one for one in found if one.name in UNSAID and one.number],
        "row": row,
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


def _name_of(row: Any) -> str:
    """Return what the row is known by. People are confirmed by their address, because they choose their names."""
    return getattr(row, "email", "") or getattr(row, "name", "") or str(row)


def _sentences(lines: list[str]) -> list[str]:
    """Return the lines of an impact as sentences. The first lists the counts that are not 0."""
    said = [line for line in lines if line.endswith(".")]
    counts = [line for line in lines if line not in said and not line.startswith("0 ")]
    return [*([_("This affects %(rows)s.") % {"rows": get_text_list(counts, _("and"))}] if counts else []), *said]


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
