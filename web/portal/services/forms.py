"""Forms for resource servers and for the scopes that an organization defines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms.boundfield import BoundWidget
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from core.errors import DomainError, Invalid
from core.text import plain_text
from core.wording import translated
from developers.models import Organization
from resources.catalogue import LABELS, MAX_SCOPE_ID, Scope, catalogue, problem_with_actions
from resources.categories import category_name
from resources.custom_scopes import ScopeDefinition, problem_with_id, require_free_prefixes
from resources.errors import IdentifierTaken, ScopePrefixTaken
from resources.identifiers import require_free_identifier
from resources.models import CustomScope
from resources.risks import RISK_LEVELS, RISK_WORDS
from resources.services import MAX_IDENTIFIER_LENGTH, canonical_identifier
from web.display.labels import LABEL_WORDS
from web.forms.fields import CODE_INPUT, PlainField, show_in

MAX_NAME, MAX_TITLE, MAX_TEXT, MAX_ACTIONS_TEXT = 200, 80, 200, 4000
SCOPE_CHOICE = '<bdi>{}</bdi> <code translate="no">{}</code>'
NO_SCOPE = _("Choose at least one scope.")
NONE_AT_ALL = _("Choose at least one scope, or define one of your own.")
# The texts of a definition. A form in which all of them are empty defines no scope.
TEXTS = ("scope_id", "title", "description", "cannot")


@dataclass(frozen=True, slots=True)
class ScopeGroup:
    """The checkboxes of one service of the catalogue, or of the organization's own scopes."""

    name: str
    choices: Sequence[BoundWidget]
    is_own: bool = False

    @property
    def chosen(self) -> int:
        return sum(bool(choice.data["selected"]) for choice in self.choices)


class WordsField(forms.CharField):
    """Words separated by spaces or commas."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_ACTIONS_TEXT, widget=forms.TextInput(attrs=CODE_INPUT), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) or value is None else " ".join(value)

    def clean(self, value: Any) -> list[str]:
        return str(super().clean(value)).replace(",", " ").split()


class ServerForm(forms.Form):
    """The name of a resource server and the scopes that it offers, both the organization's own and the catalogue's."""

    name = PlainField(
        label=_("Name"), max_length=MAX_NAME, help_text=_("What your organization calls it, such as “Tickets API”.")
    )
    own = forms.MultipleChoiceField(
        label=_("Scopes that your organization has defined"), required=False, widget=forms.CheckboxSelectMultiple
    )
    shared = forms.MultipleChoiceField(
        label=_("Scopes from the catalogue"), required=False, widget=forms.CheckboxSelectMultiple
    )
    no_scope = NO_SCOPE

    def __init__(self, *args: Any, own: Sequence[CustomScope], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["own"].choices = [_choice(scope) for scope in own]  # type: ignore[attr-defined]
        self.fields["shared"].choices = [_choice(scope) for scope in catalogue().values()]  # type: ignore[attr-defined]

    @property
    def defines_scope(self) -> bool:
        """Return whether the form also defines a scope."""
        return False

    def clean(self) -> dict[str, Any]:
        is_readable = self.errors.keys().isdisjoint({"own", "shared"})
        if is_readable and not (self.defines_scope or self.keeps_scopes or self.scopes):
            self.add_error("shared", self.no_scope)
        return self.cleaned_data

    @property
    def keeps_scopes(self) -> bool:
        """Whether a registered resource server keeps its scopes, because the selection was not changed."""
        return bool(self.initial) and {"own", "shared"}.isdisjoint(self.changed_data)

    @property
    def scopes(self) -> list[str | ScopeDefinition]:
        """Return the scopes that the resource server offers."""
        return [*self.cleaned_data.get("own", ()), *self.cleaned_data.get("shared", ())]

    @property
    def groups(self) -> list[ScopeGroup]:
        """Return the checkboxes of the organization's own scopes, then those of the catalogue by service."""
        found: dict[str, list[BoundWidget]] = {}
        for choice in self["shared"]:
            found.setdefault(catalogue()[str(choice.data["value"])].category, []).append(choice)
        choices = list(self["own"])
        own = [ScopeGroup(str(_("Defined by your organization")), choices, is_own=True)] if choices else []
        return [*own, *(ScopeGroup(category_name(category), choices) for category, choices in found.items())]

    def show(self, error: DomainError) -> None:
        """Add each of the error's messages to its field."""
        show_in(self, error, {"scopes": "shared"})


class ScopeForm(forms.Form):
    """A scope that the organization defines, with its texts on the consent screen."""

    scope_id = forms.CharField(
        label=_("Scope ID"),
        max_length=MAX_SCOPE_ID,
        help_text=_("In lower case with a prefix, such as tickets:read. It is in tokens and cannot be changed later."),
        widget=forms.TextInput(attrs=CODE_INPUT),
    )
    title = PlainField(
        label=_("Title"), max_length=MAX_TITLE, help_text=_("What the agent may do, such as “Read your tickets”.")
    )
    description = PlainField(
        label=_("It can"),
        max_length=MAX_TEXT,
        help_text=_("One sentence without a full stop, such as “See your tickets and what was said”."),
    )
    cannot = PlainField(
        label=_("It cannot"),
        max_length=MAX_TEXT,
        help_text=_("Follows “Cannot:”, such as “change or close them”. Promise only what your service enforces."),
    )
    risk_level = forms.ChoiceField(
        label=_("Risk"),
        choices=[(risk, RISK_WORDS[risk]) for risk in RISK_LEVELS],
        initial="standard",
        widget=forms.RadioSelect,
        help_text=_("The user approves each use of a critical scope."),
    )
    labels = forms.MultipleChoiceField(
        label=_("What it does with data"),
        choices=[(label, words) for label, words in LABEL_WORDS.items() if label in LABELS],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Guards against data flows use these labels."),
    )
    is_reversible = forms.BooleanField(label=_("What it does can be undone"), required=False)
    covers = WordsField(
        label=_("Actions that it covers"),
        required=False,
        help_text=_(
            "Actions with the prefix of the scope, separated by spaces, such as tickets:list tickets:search. Once a "
            "scope covers any, verify denies actions with this prefix that no granted scope covers."
        ),
    )
    excludes = WordsField(
        label=_("Actions that “It cannot” names"),
        required=False,
        help_text=_("Such as tickets:close tickets:edit. Verify denies each unless another granted scope covers it."),
    )

    def __init__(self, *args: Any, organization: Organization, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.organization = organization

    def clean_scope_id(self) -> str:
        scope_id: str = self.cleaned_data["scope_id"]
        if not scope_id:
            return scope_id
        if problem := problem_with_id(scope_id):
            raise forms.ValidationError(translated(problem))
        try:
            require_free_prefixes(self.organization, [scope_id.partition(":")[0]])
        except ScopePrefixTaken as error:
            raise forms.ValidationError(error.translated) from error
        return scope_id

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        scope_id, covers, excludes = (data.get(name, ()) for name in ("scope_id", "covers", "excludes"))
        problem = problem_with_actions(scope_id, covers, ()) if scope_id else None
        if problem:
            self.add_error("covers", translated(problem))
        elif scope_id and (problem := problem_with_actions(scope_id, covers, excludes)):
            self.add_error("excludes", translated(problem))
        return data

    def definition(self) -> ScopeDefinition:
        """Return the scope that the valid form describes."""
        data = self.cleaned_data
        return ScopeDefinition(
            data["scope_id"],
            data["risk_level"],
            data["title"],
            data["description"],
            data["cannot"],
            labels=data["labels"],
            is_reversible=data["is_reversible"],
            covers=data["covers"],
            excludes=data["excludes"],
        )

    def show(self, error: DomainError) -> None:
        """Add each of the error's messages to its field."""
        show_in(self, error, {"scopes": "scope_id", "": "scope_id"})


class NewServerForm(ServerForm, ScopeForm):
    """A new resource server, and the first scope that it defines, if any."""

    identifier = forms.CharField(
        label=_("Identifier"),
        max_length=MAX_IDENTIFIER_LENGTH,
        help_text=_("The URL at which clients reach the service. It is the audience of tokens and cannot be changed."),
        widget=forms.TextInput(attrs={**CODE_INPUT, "inputmode": "url", "placeholder": "https://api.example.com"}),
    )
    no_scope = NONE_AT_ALL
    field_order = ["name", "identifier", *ScopeForm.base_fields, "own", "shared"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ScopeForm.base_fields:
            self.fields[name].required = False

    def clean_identifier(self) -> str:
        try:
            identifier = canonical_identifier(self.cleaned_data["identifier"])
            require_free_identifier(identifier, self.organization.id)
        except (Invalid, IdentifierTaken) as error:
            raise forms.ValidationError(error.translated) from error
        return identifier

    def clean(self) -> dict[str, Any]:
        if self.defines_scope:
            for name in TEXTS:
                if not self.cleaned_data.get(name) and name not in self.errors:
                    self.add_error(name, _("Required to define a scope. Clear the other fields if you need none."))
            if not self.cleaned_data.get("risk_level"):
                self.cleaned_data["risk_level"] = self.fields["risk_level"].initial
        return super().clean()

    @property
    def defines_scope(self) -> bool:
        """Return whether any text of the scope is filled in."""
        return any(self.data.get(name, "").strip() for name in TEXTS)

    @property
    def scopes(self) -> list[str | ScopeDefinition]:
        is_complete = self.defines_scope and not self.errors.keys() & set(TEXTS)
        return [*([self.definition()] if is_complete else []), *super().scopes]

    @property
    def scope_fields(self) -> Iterator[Any]:
        """Yield the fields of the scope."""
        return (self[name] for name in ScopeForm.base_fields)

    def show(self, error: DomainError) -> None:
        scopes = "scope_id" if self.defines_scope else "shared"
        whole = "identifier" if isinstance(error, IdentifierTaken) else scopes
        show_in(self, error, {"scopes": scopes, "": whole})


def _choice(scope: Scope | CustomScope) -> tuple[str, str]:
    return scope.id, format_html(SCOPE_CHOICE, plain_text(scope.title), scope.id)
