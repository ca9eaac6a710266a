"""A field in which the user types an agent, because an organization can have thousands."""

import re
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from agents.models import Agent
from core.text import plain_text

MAX_LENGTH = 350
MAX_SUGGESTIONS = 100
MAX_KNOWN = 1000
ID = re.compile(r"(?:.*\()?(agt_[0-9a-f]{32})\)?")


class AgentField(forms.CharField):
    """One of `agents`, by id, client id or name. The value is the agent, or None if the field is empty.

    Browsers suggest the first of `agents`, as "name (id)". Any other can be typed too.
    """

    default_error_messages = {
        "unknown": _("No agent has this name or ID. Choose a suggestion, or enter an agent's ID."),
        "ambiguous": _("Several agents have this name. Choose a suggestion, or enter an agent's ID."),
        "gone": _("Your organization has no agent with this ID. It may have been deleted. Choose another one."),
    }

    def __init__(self, *, placeholder: Any, **kwargs: Any) -> None:
        attrs = {"list": "agents", "autocomplete": "off", "placeholder": placeholder}
        super().__init__(required=False, max_length=MAX_LENGTH, widget=forms.TextInput(attrs=attrs), **kwargs)
        self.agents: QuerySet[Agent] = Agent.objects.none()

    @cached_property
    def suggestions(self) -> list[str]:
        return [written(pk, name) for pk, name in self.agents.values_list("pk", "name")[:MAX_SUGGESTIONS]]

    def prepare_value(self, value: Any) -> Any:
        return written(value.pk, value.name) if isinstance(value, Agent) else value

    def clean(self, value: Any) -> Any:
        """Return the agent. The text is checked first, because PostgreSQL raises an error for a NUL."""
        text: str = super().clean(value)
        return self._find(text) if text else None

    def _find(self, text: str) -> Agent:
        match = ID.fullmatch(text)
        wanted = Q(pk=match[1]) if match else Q(client_id=text) | Q(name=text)
        found = list(self.agents.filter(wanted)[:2])
        if len(found) != 1:
            code = "ambiguous" if found else "gone" if match else "unknown"
            raise ValidationError(self.error_messages[code], code=code)
        return found[0]


class AgentFieldForm(forms.Form):
    """A form with an `AgentField` named "agent", which finds one of `agents`."""

    def __init__(self, *args: Any, agents: QuerySet[Agent], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast("AgentField", self.fields["agent"]).agents = agents


class OwnAgentField(AgentField):
    """The same for a user, who rarely has more agents than one query reads. That query serves the whole page."""

    default_error_messages = {"gone": AgentField.default_error_messages["unknown"]}

    @cached_property
    def known(self) -> list[Agent]:
        shown = ("id", "client_id", "name", "logo_digest", "organization__name", "organization__is_verified")
        return list(self.agents.select_related("organization").only(*shown)[:MAX_KNOWN])

    @cached_property
    def suggestions(self) -> list[str]:
        return [written(agent.id, agent.name) for agent in self.known[:MAX_SUGGESTIONS]]

    def _find(self, text: str) -> Agent:
        match = ID.fullmatch(text)
        found = [one for one in self.known if (one.id == match[1] if match else text in (one.client_id, one.name))]
        return found[0] if len(found) == 1 else super()._find(text)


def written(pk: str, name: str) -> str:
    """Return an agent in the form that a user chooses from."""
    return f"{plain_text(name)} ({pk})"
