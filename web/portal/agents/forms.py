"""Forms for agents, for rotating credentials, and for becoming a developer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

from django import forms
from django.http import QueryDict
from django.utils.functional import cached_property
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from agents.images import MAX_BYTES
from agents.links import FIELDS as LINKS
from agents.links import check_links
from agents.services import check_redirect_uris
from core.errors import DomainError, Invalid
from policies.models import Policy
from resources.catalogue import Scope
from web.forms.fields import LINES_INPUT, LinesField, PlainField, show_in
from web.portal.agents.scope_picker import NONE_REFUSED, Service, services

MAX_NAME, MAX_DESCRIPTION = 100, 500
OVERLAPS = (
    (0, _("Immediately")),
    (3600, _("After 1 hour")),
    (86_400, _("After 24 hours")),
    (604_800, _("After 7 days")),
)
STATES = (
    ("", _("Any status")),
    ("active", _("Active")),
    ("suspended", _("Suspended")),
    ("stopped", _("Stopped by AgentGate")),
)
# The search for scopes, which is not a field of the agent.
SEARCH = "find"
FIELD_NAMES = {
    "redirectUris": "redirect_uris",
    "allowedScopes": "allowed_scopes",
    "homepageUrl": "homepage_url",
    "privacyUrl": "privacy_url",
    "logoUrl": "logo_url",
}


class AgentFilterForm(forms.Form):
    """The search form of the list. It is in the URL, so a view can be bookmarked and shared."""

    q = PlainField(
        label=_("Name or client ID"),
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off", "placeholder": _("Name or ID")}),
    )
    status = forms.ChoiceField(
        label=_("Status"), choices=STATES, required=False, widget=forms.Select(attrs={"data-auto": True})
    )

    def wanted(self) -> dict[str, str]:
        """Return the valid filters as arguments of `search_agents`."""
        self.is_valid()
        return {"text": self.cleaned_data.get("q", ""), "state": self.cleaned_data.get("status", "")}


class AgentForm(forms.Form):
    name = PlainField(label=_("Name"), max_length=MAX_NAME, help_text=_("Shown on the consent screen."))
    description = PlainField(
        label=_("Description"),
        max_length=MAX_DESCRIPTION,
        required=False,
        help_text=_("What it does for its users, in your words. The consent screen quotes it."),
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    redirect_uris = LinesField(
        label=_("Redirect URIs, one per line"),
        help_text=_(
            "Must use https, http on localhost, or your app's own scheme. Must match exactly. For a first try, "
            "http://localhost/callback is enough: nothing has to answer there."
        ),
        widget=forms.Textarea(attrs={**LINES_INPUT, "rows": 2}),
    )
    allowed_scopes = forms.MultipleChoiceField(label=_("Allowed scopes"), widget=forms.CheckboxSelectMultiple)

    def __init__(
        self, *args: Any, scopes: Sequence[Scope], refused: Mapping[str, Policy] = NONE_REFUSED, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.scopes, self.refused = scopes, refused
        self.fields["allowed_scopes"].choices = [(one.id, one.title) for one in scopes]  # type: ignore[attr-defined]

    @classmethod
    def from_draft(
        cls, data: QueryDict, *, scopes: Sequence[Scope], refused: Mapping[str, Policy] = NONE_REFUSED
    ) -> Self:
        """Return a form with the values entered so far, without errors for missing or invalid ones."""
        known = {scope.id for scope in scopes}
        chosen = [one for one in data.getlist("allowed_scopes") if one in known]
        return cls(initial={**data.dict(), "allowed_scopes": chosen}, scopes=scopes, refused=refused)

    @property
    def draft(self) -> dict[str, Any]:
        """The values that the page shows, whether valid or not."""
        return {name: self[name].value() for name in self.fields}

    @property
    def finds_some(self) -> bool:
        """Whether the search finds any scope."""
        return any(service.is_found for service in self.services)

    @cached_property
    def services(self) -> list[Service]:
        """The scopes grouped by service, as the page shows them."""
        searched = self.data.get(SEARCH) or self.initial.get(SEARCH) or ""
        found = services(self.scopes, self["allowed_scopes"].value() or (), str(searched), self.refused)
        return sorted(found, key=lambda service: not service.is_first)

    @property
    def folded(self) -> list[Service]:
        """The services that the page shows only if they are unfolded."""
        return [service for service in self.services if not service.is_first]

    @property
    def unfolds(self) -> bool:
        """Whether it shows them from the beginning, because the search found some of their scopes."""
        return any(service.is_open for service in self.folded)

    def clean(self) -> dict[str, Any]:
        """Also run the checks of the services, so that the page shows all errors at once."""
        if "redirect_uris" in self.cleaned_data:
            self._check(check_redirect_uris, self.cleaned_data["redirect_uris"])
        return self.cleaned_data

    def show(self, error: DomainError) -> None:
        """Add each of the error's messages to its field."""
        show_in(self, error, FIELD_NAMES)

    def _check[T](self, check: Callable[[T], None], value: T) -> None:
        try:
            check(value)
        except Invalid as error:
            self.show(error)


class AgentSettingsForm(AgentForm):
    """The form of a registered agent, which also has links and a logo."""

    homepage_url = PlainField(label=_("Homepage"), required=False, widget=forms.URLInput)
    privacy_url = PlainField(label=_("Privacy policy"), required=False, widget=forms.URLInput)
    logo_url = PlainField(
        label=_("Logo"),
        required=False,
        widget=forms.URLInput,
        help_text=format_lazy(
            _(
                "The https address of a PNG, JPEG or WebP picture of at most {most} KB, such as 96 × 96 pixels. "  # noqa: RUF001
                "We fetch it once and store it, so your users never load it from your server."
            ),
            most=MAX_BYTES // 1024,
        ),
    )
    fetch_again = forms.BooleanField(label=_("Fetch the logo again"), required=False)

    def clean(self) -> dict[str, Any]:
        self._check(check_links, {name: self.cleaned_data.get(name, "") for name in LINKS})
        return super().clean()


class SecretForm(forms.Form):
    name = PlainField(
        label=_("Name"),
        max_length=100,
        help_text=_("Where it is used, such as “production” or “laptop”."),
    )


class RotateForm(forms.Form):
    PLACES: ClassVar = {"overlapSeconds": "overlap_seconds"}

    overlap_seconds = forms.TypedChoiceField(
        label=_("When the old one expires"),
        choices=OVERLAPS,
        coerce=int,
        initial=3600,
        widget=forms.RadioSelect,
    )


class DeveloperForm(forms.Form):
    name = PlainField(
        label=_("Your name, or your organization's name"),
        max_length=200,
        help_text=_("Users see it next to each of your agents."),
    )


class ReasonForm(forms.Form):
    """The developer's reason for suspending an agent, for the log."""

    reason = PlainField(label=_("Reason"), help_text=_("For your organization's log."), max_length=300, required=False)
