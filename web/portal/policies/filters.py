"""Filters for the list of policies. They are in the URL."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from core.text import plain_text
from policies.models import Policy
from web.forms.agent_field import AgentField, AgentFieldForm
from web.forms.fields import PlainField
from web.portal.policies.forms import ENFORCED, OFF, SHADOW, STATUS_NAMES

STATUSES = [("", _("Any")), *STATUS_NAMES.items()]
OF_STATUS: Mapping[str, Q] = MappingProxyType(
    {
        ENFORCED: Q(enabled=True, mode=Policy.Mode.ENFORCE),
        SHADOW: Q(enabled=True, mode=Policy.Mode.SHADOW),
        OFF: Q(enabled=False),
    }
)


class PolicyFilterForm(AgentFieldForm):
    q = PlainField(label=_("Search"), required=False, max_length=200, widget=forms.SearchInput)
    status = forms.ChoiceField(label=_("Status"), choices=STATUSES, required=False)
    agent = AgentField(label=_("Agent"), placeholder=_("Name or ID"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["q"].widget.attrs["placeholder"] = _("Name, ID or action")

    def apply(self, rows: QuerySet[Policy]) -> QuerySet[Policy]:
        """Return the policies that match, or none if a field is invalid. The page then shows its error.

        A policy for all agents matches every agent, because it applies to each.
        """
        if not self.is_valid():
            return rows.none()
        words, status, agent = (self.cleaned_data[name] for name in ("q", "status", "agent"))
        if words:
            rows = rows.filter(_search(plain_text(words)))
        if status:
            rows = rows.filter(OF_STATUS[status])
        return rows.filter(Q(agent=agent) | Q(agent=None)) if agent else rows


def _search(words: str) -> Q:
    return Q(name__icontains=words) | Q(description__icontains=words) | Q(pk=words) | Q(rules__icontains=words)
