"""The page of an agent, which anyone may read before they allow it anything, and the form that reports it."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from accounts.models import User
from agents.models import Agent
from agents.reports import MAX_TEXT, Concern, find_report, report_agent
from agents.selectors import document_host, public_agent
from consent.selectors import live_consents_for_user
from core import clock
from core.http import SeeOther
from core.text import plain_text
from resources.catalogue import Scope, describe_scopes
from web.display.labels import highest_risk, risk_level
from web.requests.access import page, signed_in, user_actor, user_form


class ReportForm(forms.Form):
    concern = forms.ChoiceField(label=gettext_lazy("What is wrong?"), choices=Concern.choices, widget=forms.RadioSelect)
    text = forms.CharField(
        label=gettext_lazy("What happened?"),
        help_text=gettext_lazy("Leave out anything that says who you are."),
        max_length=MAX_TEXT,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def clean_text(self) -> str:
        return plain_text(self.cleaned_data["text"])


@require_safe
@page
def agent(request: HttpRequest, agent_id: str) -> HttpResponse:
    """Show who is behind the agent and what it may ask for, in the words of the consent screen. It counts nothing."""
    found = public_agent(agent_id)
    scopes = _by_risk(found)
    context = {
        "agent": found,
        "organization": found.organization,
        "document_host": document_host(found),
        "scopes": scopes,
        "siblings": scopes,
        "risk": highest_risk(scope.risk_level for scope in scopes),
        "connection": _connection(request.user, found) if isinstance(request.user, User) else None,
    }
    response = render(request, "web/public/agents/agent.html", context)
    response["X-Robots-Tag"] = "noindex"  # its texts are the developer's
    return response


@user_form
def report(request: HttpRequest, agent_id: str) -> HttpResponse:
    """Show the form, or report the agent. Whoever reported it within a day sees that instead of the form."""
    found, user = public_agent(agent_id), signed_in(request)
    form = ReportForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        concern, text = Concern(form.cleaned_data["concern"]), form.cleaned_data["text"]
        report_agent(actor=user_actor(request), user=user, agent=found, concern=concern, text=text)
        messages.success(request, _("Reported. Thank you. The administrators will look at it."))
        return SeeOther(reverse("web:agent-report", args=[agent_id]))
    context = {
        "agent": found,
        "form": form,
        "report": find_report(user.id, found.id),
        "connection": _connection(user, found),
    }
    return render(request, "web/public/agents/report.html", context, status=422 if form.is_bound else 200)


def _by_risk(found: Agent) -> list[Scope]:
    """Return the scopes that the agent may ask for, those with the highest risk first."""
    scopes = describe_scopes(found.allowed_scopes)
    return sorted(scopes, key=lambda scope: -risk_level(scope.risk_level))


def _connection(user: User, found: Agent) -> str | None:
    """Return the id of the user's connection with the agent, or None."""
    return live_consents_for_user(user, clock.now()).filter(agent=found).values_list("pk", flat=True).first()
