"""A form in which a developer describes a request as a service would send it to verify."""

import re
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from agents.models import Agent
from core import clock
from core.chains import MAX_DEPTH, Link
from core.net import canonical_address
from core.text import plain_text
from policies.rules import RuleContext
from resources.catalogue import SCOPE_ID
from web.forms.agent_field import AgentField, AgentFieldForm
from web.forms.context_field import ContextField
from web.forms.fields import LinesField, PlainField
from web.forms.moments import PeriodField

MAX_SCOPES = 20
MAX_CONTEXT = 4000
FOREIGN = re.compile(r"(agt_[0-9a-f]{32})\s+(org_[0-9a-f]{32})")
USER_ID = r"usr_[0-9a-f]{32}"


class ScopesField(LinesField):
    """Scopes, one per line or separated by spaces or commas."""

    def to_python(self, value: Any) -> Any:
        scopes = list(dict.fromkeys(str(value or "").replace(",", " ").split()))
        wrong = next((scope for scope in scopes if not SCOPE_ID.fullmatch(scope)), None)
        if wrong is not None:
            raise ValidationError(
                _('"%(scope)s" is not the ID of a scope, such as email:read.'), params={"scope": wrong[:100]}
            )
        if len(scopes) > MAX_SCOPES:
            raise ValidationError(_("At most %(most)d scopes."), params={"most": MAX_SCOPES})
        return scopes


class AddressField(forms.CharField):
    """An IP address in its canonical form."""

    def to_python(self, value: Any) -> str | None:
        text = super().to_python(value)
        address = canonical_address(text) if text else None
        if text and address is None:
            raise ValidationError(_("Must be an IPv4 or IPv6 address, without a zone or spaces."))
        return address


class ChainField(LinesField):
    """Agents, one per line: an own one by ID, client ID or name, or another organization's as `agt_… org_…`.

    The value is their links, without delegations.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self.agents: QuerySet[Agent] = Agent.objects.none()

    def to_python(self, value: Any) -> Any:
        lines = super().to_python(value)
        if len(lines) > MAX_DEPTH:
            raise ValidationError(_("At most %(most)d agents."), params={"most": MAX_DEPTH})
        return [self._link(line) for line in lines]

    def _link(self, line: str) -> Link:
        if foreign := FOREIGN.fullmatch(line):
            return Link(foreign[1], None, foreign[2])
        is_named = Q(pk=line) | Q(client_id=line) | Q(name=line)
        # PostgreSQL raises an error for a NUL.
        own = list(self.agents.filter(is_named)[:2]) if line.isprintable() else []
        if len(own) != 1:
            unknown = _("“%(line)s” is not one of your agents. Write another organization's agent as agt_… org_…")
            text = _("Several of your agents are called “%(line)s”. Enter the ID of one.") if own else unknown
            raise ValidationError(text, params={"line": plain_text(line)[:100]})
        return Link(own[0].pk, None, own[0].organization_id)


class SimulationForm(AgentFieldForm):
    title = _("Request")
    agent = AgentField(label=_("Agent"), placeholder=_("Name or ID"))
    chain = ChainField(
        label=_("Handed over by, one per line"),
        help_text=_(
            "The agents before it, the first one first. Leave empty if no agent handed the work over. Write another "
            "organization's agent as agt_… org_…"
        ),
    )
    scopes = ScopesField(
        label=_("Required scopes"), help_text=_("Such as email:send. Several are separated by spaces.")
    )
    action = PlainField(label=_("Action"), max_length=200, required=False)
    resource = PlainField(label=_("Resource"), max_length=2000, required=False)
    user = forms.RegexField(
        rf"^({USER_ID})?$",
        label=_("User ID"),
        required=False,
        help_text=_("The user whose limits apply. If it is empty, a rule that would ask the user denies instead."),
        error_messages={"invalid": _("Must be the ID of a user, as in the log.")},
    )
    ip = AddressField(label=_("IP address of the agent"), required=False, max_length=64)
    at = PeriodField(
        label=_("Time"),
        widget=forms.TextInput(attrs={"type": "datetime-local"}),
        help_text=_("In your time zone. Empty for now."),
    )
    context = ContextField(
        label=_("Context, as JSON"),
        most=MAX_CONTEXT,
        help_text=_("What the service reports about the call, such as recipient or amount."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scopes"].widget.attrs["rows"] = 2
        self.fields["chain"].widget.attrs["rows"] = 2
        cast("ChainField", self.fields["chain"]).agents = kwargs["agents"]
        self.fields["agent"].required = True

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        agents = [link.agent_id for link in data.get("chain", ())] + ([data["agent"].pk] if data.get("agent") else [])
        if len(set(agents)) < len(agents):
            self.add_error("chain", _("No agent can be in a chain twice."))
        return data

    def request(self) -> RuleContext:
        """Return the request. Call it only if the form is valid."""
        data, agent = self.cleaned_data, self.cleaned_data["agent"]
        return RuleContext(
            now=data["at"] or clock.now(),
            agent_id=agent.id,
            scopes=tuple(data["scopes"]),
            action=data["action"] or None,
            resource=data["resource"] or None,
            ip=data["ip"],
            context=data["context"],
            user_id=data["user"] or None,
            organization_id=agent.organization_id,
            chain=(*data["chain"], Link(agent.id, None, agent.organization_id)) if data["chain"] else (),
        )
