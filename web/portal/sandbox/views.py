"""The sandbox: a developer decides about a request of their own agent, and asks verify what would then be allowed."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from agents.models import Agent
from agents.selectors import agent_for_organization
from agents.throttles import throttle_trials
from consent.terms import NOTHING_SAID, Terms
from core.errors import Invalid
from core.http import SeeOther
from decisions.whatif.sandbox import MAX_QUESTIONS, Asked, Trial, ask_in_trial, record_trial, trial_for_organization
from developers.models import Developer
from web.forms.errors import show_in
from web.portal.policies.verdicts import describe_unknown
from web.portal.sandbox.answers import explain_all
from web.portal.sandbox.forms import QuestionForm
from web.portal.sandbox.screen import Answered, Request, grants, show_screen
from web.portal.sandbox.trace import Trace, policies_of, trace_question
from web.requests.access import developer_actor, developer_page
from web.requests.paging import part_of


@require_http_methods(["GET", "HEAD", "POST"])
@developer_page
def consent(request: HttpRequest, developer: Developer, agent_id: str) -> HttpResponse:
    """Show the consent screen for the scopes in the address. POST decides, which only writes to the log."""
    agent = _agent(developer, agent_id)
    asked = Request.of(agent, request.GET)
    if not asked.asked:
        return render(request, "web/portal/sandbox/no_scopes.html", {"agent": agent})
    screen = asked.screen
    answered = Answered.read(request.POST, screen) if request.method == "POST" else Answered()
    if answered.is_denied or answered.decision:
        throttle_trials(developer.organization_id)
        trial_id = record_trial(
            actor=developer_actor(request, developer),
            agent=agent,
            requested=asked.asked,
            granted=answered.granted,
            given=answered.decision.terms if answered.decision else NOTHING_SAID,
        )
        return SeeOther(reverse("web:agent-trial", args=[agent.id, trial_id]))
    context = {"asked": asked, **show_screen(screen, answered)}
    return render(request, "web/portal/sandbox/consent.html", context, status=422 if answered.problem else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@developer_page
def trial(request: HttpRequest, developer: Developer, agent_id: str, trial_id: str) -> HttpResponse:
    """Show a trial with its questions. POST asks another one."""
    agent = _agent(developer, agent_id)
    found = trial_for_organization(developer.organization_id, agent, trial_id)
    shown = _shown(request, found)
    form = _form(request, found, shown)
    if form.is_valid():
        throttle_trials(developer.organization_id)
        try:
            ask_in_trial(actor=developer_actor(request, developer), trial=found, **form.cleaned_data)
        except Invalid as error:
            show_in(form, error)
        else:
            return SeeOther(f"{reverse('web:agent-trial', args=[agent.id, found.id])}#answer")
    status = 422 if form.is_bound else 200
    return render(request, "web/portal/sandbox/trial.html", _context(request, found, shown, form), status=status)


def _agent(developer: Developer, agent_id: str) -> Agent:
    agent = agent_for_organization(developer.organization_id, agent_id)
    agent.organization = developer.organization  # saves a query
    return agent


def _shown(request: HttpRequest, trial: Trial) -> Asked | None:
    """Return the question that the URL names, or the newest. None if nothing was asked yet."""
    wanted, newest = request.GET.get("question", ""), trial.questions[-1] if trial.questions else None
    return next((asked for asked in trial.questions if asked.id == wanted), newest)


def _form(request: HttpRequest, trial: Trial, shown: Asked | None) -> QuestionForm:
    return QuestionForm(
        request.POST if request.method == "POST" else None,
        scopes=trial.described,
        granted=trial.scopes,
        initial=QuestionForm.initial_of(shown),
    )


def _context(request: HttpRequest, trial: Trial, shown: Asked | None, form: QuestionForm) -> dict[str, Any]:
    policies = policies_of(trial)
    answers = explain_all(trial.questions[::-1], {policy.id for policy in policies})
    trace = trace_question(trial, shown, policies) if shown else Trace()
    part = part_of(request, trace.verdicts)
    return {
        "trial": trial,
        "agent": trial.agent,
        "form": form,
        "grants": grants(trial.scopes, Terms.read(trial.terms)),
        "shown": next((one for one in answers if one.asked is shown), None),
        "others": [one for one in answers if one.asked is not shown],
        "trace": trace,
        "verdicts": part.items,
        "hints": describe_unknown([shown.action] if shown and shown.action else [], trial.agent.organization_id),
        "part": part,
        "is_full": len(trial.questions) >= MAX_QUESTIONS,
        "most": MAX_QUESTIONS,
    }
