"""Forms for webhooks: their URL and events, and the number from which events are sent again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from agents.selectors import agents_for_organization
from core.errors import Invalid
from core.fetching import TooManyFetches
from core.text import plain_text
from events.models import Delivery, Webhook
from events.services import CheckedUrl, check_url
from events.types import EVERYTHING, ONLY_NAMED
from web.forms.fields import CODE_INPUT
from web.portal.webhooks.catalogue import Subject, Type, subjects

# Of agents to which a webhook can be limited. The API takes all agents.
MAX_CHOICES = 50
MAX_URL = 2048
ALL, CHOSEN = "all", "chosen"
REACHES = [(ALL, _("All events, except decisions")), (CHOSEN, _("The events that I choose"))]
STATUSES = [
    ("", _("All")),
    (Delivery.Status.DELIVERED, _("Delivered")),
    (Delivery.Status.RETRYING, _("Outstanding")),
    (Delivery.Status.FAILED, _("Failed")),
]


@dataclass(frozen=True, slots=True)
class Pick:
    """An event type with its checkbox."""

    type: Type
    is_ticked: bool


@dataclass(frozen=True, slots=True)
class Group:
    """The types of a subject, and whether all of them are chosen, also later ones."""

    subject: Subject
    has_every: bool
    picks: Sequence[Pick]

    @property
    def chosen(self) -> int:
        return sum(one.is_ticked for one in self.picks)


class WebhookForm(forms.Form):
    """A webhook. Decisions are apart from the other events, because they are so many."""

    PLACES: ClassVar = {"agentIds": "agent_ids"}

    url = forms.CharField(
        label=_("Endpoint URL"),
        max_length=MAX_URL,
        help_text=_("Where we send a POST request for each event. It must start with https:// and be public."),
        widget=forms.URLInput(attrs={**CODE_INPUT, "placeholder": "https://example.com/webhooks/agentgate"}),
    )
    reach = forms.ChoiceField(label=_("Events"), choices=REACHES, initial=CHOSEN, widget=forms.RadioSelect)
    types = forms.MultipleChoiceField(
        label=_("Event types"), required=False, widget=forms.CheckboxSelectMultiple, choices=lambda: list(_choices())
    )
    decisions = forms.BooleanField(
        label=_("Decisions, too (token.verify)"),
        required=False,
        help_text=_(
            "One event per request of a service, which can be thousands per second: your "
            "endpoint must take them as fast, or its other events wait behind them."
        ),
    )
    agent_ids = forms.MultipleChoiceField(
        label=_("Limit to these agents"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Events that are about no agent, such as those of members, are then left out."),
    )

    def __init__(self, *args: Any, organization_id: str, kept: Webhook | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kept = kept
        kept_agents = (kept and kept.agent_ids) or ()
        newest = agents_for_organization(organization_id)[:MAX_CHOICES]
        found = {agent.id: plain_text(agent.name) for agent in newest}
        found |= {one: one for one in kept_agents if one not in found}
        self.fields["agent_ids"].choices = list(found.items())  # type: ignore[attr-defined]
        if not found and "agent_ids" not in self.data:  # else the chosen agents were deleted meanwhile
            del self.fields["agent_ids"]

    @property
    def groups(self) -> list[Group]:
        """Return the types that can be chosen, by subject."""
        ticked = self["types"].value() or ()
        return [
            Group(subject, subject.pattern in ticked, [Pick(one, one.name in ticked) for one in subject.choices])
            for subject in subjects()
        ]

    def clean_url(self) -> CheckedUrl:
        """Check the URL together with the other fields, so that the page shows all that is wrong at once."""
        url = self.cleaned_data["url"]
        if self.kept and url == self.kept.url:
            return CheckedUrl(url)
        try:
            return check_url(url)
        except (Invalid, TooManyFetches) as error:
            raise forms.ValidationError([one.translated for one in error.errors] or [error.translated]) from None

    def clean(self) -> dict[str, Any]:
        if "types" not in self.errors and "reach" not in self.errors and not self.wanted_types:
            self.add_error("types", _("Choose at least one event type."))
        return self.cleaned_data

    @property
    def wanted_types(self) -> list[str]:
        """Return the chosen types and patterns, without types that a chosen pattern matches."""
        chosen = self.cleaned_data.get("types", [])
        kept = [one for one in chosen if one.endswith(".*") or f"{one.split('.')[0]}.*" not in chosen]
        wanted = [EVERYTHING] if self.cleaned_data["reach"] == ALL else kept
        return wanted + [ONLY_NAMED] * self.cleaned_data["decisions"]

    def wanted(self) -> Any:
        return {
            "url": self.cleaned_data["url"],
            "types": self.wanted_types,
            "agent_ids": self.cleaned_data.get("agent_ids") or None,
        }


def initial_of(webhook: Webhook) -> dict[str, Any]:
    """Return what the form shows about a webhook."""
    return {
        "url": webhook.url,
        "reach": ALL if EVERYTHING in webhook.types else CHOSEN,
        "types": webhook.types,
        "decisions": ONLY_NAMED in webhook.types,
        "agent_ids": webhook.agent_ids or [],
    }


def _choices() -> Iterator[tuple[str, str]]:
    """Yield the patterns and types."""
    for subject in subjects():
        names = (subject.pattern, *(one.name for one in subject.choices))
        yield from zip(names, names, strict=True)


class ReplayForm(forms.Form):
    after = forms.IntegerField(
        label=_("Send everything after event number"),
        min_value=0,
        help_text=_("The list of deliveries and your log show the number of each event. 0 is the beginning."),
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )
