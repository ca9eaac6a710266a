"""Pause and resume one agent or all agents. The buttons are on the connection and approval pages."""

from allauth.account.utils import get_next_redirect_url
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from consent.pausing import pause_agent, pause_all_agents, resume_agent, resume_all_agents
from consent.selectors import current_consent
from core import clock
from core.http import SeeOther
from core.text import plain_text
from web.requests.access import for_users, posted_from, signed_in, user_actor
from web.user.connections.handed import has_handed_on
from web.user.connections.views import after_change


@for_users
@posted_from("web:connection", "consent_id")
def pause(request: HttpRequest, consent_id: str) -> HttpResponse:
    consent = current_consent(signed_in(request), consent_id)
    paused = pause_agent(actor=user_actor(request), consent=consent)
    message = _("Paused. All requests of %(agent)s are denied until you resume it.")
    text = message % {"agent": plain_text(consent.agent.name)}
    if has_handed_on(paused, clock.now()):
        text = f"{text} {_('So are those of the agents to which it has handed work.')}"
    messages.success(request, text)
    return after_change(request, paused)


@for_users
@posted_from("web:connection", "consent_id")
def resume(request: HttpRequest, consent_id: str) -> HttpResponse:
    user = signed_in(request)
    consent = resume_agent(actor=user_actor(request), consent=current_consent(user, consent_id), user=user)
    messages.success(request, _("Resumed. %(agent)s is no longer paused.") % {"agent": plain_text(consent.agent.name)})
    return after_change(request, consent)


@for_users
@posted_from("web:connections")
def pause_all(request: HttpRequest) -> HttpResponse:
    pause_all_agents(actor=user_actor(request), user=signed_in(request))
    messages.success(request, _("All agents are paused. All their requests are denied until you resume them."))
    return SeeOther(reverse("web:connections"))


@for_users
@posted_from("web:connections")
def resume_all(request: HttpRequest) -> HttpResponse:
    resume_all_agents(actor=user_actor(request), user=signed_in(request))
    messages.success(request, _("Resumed. Agents that you paused separately are still paused."))
    return SeeOther(get_next_redirect_url(request) or reverse("web:connections"))
