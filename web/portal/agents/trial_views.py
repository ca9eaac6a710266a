"""The trial of an agent: a developer sees its consent screen, decides, and sees what verify would then answer.

The trial runs in memory: the page writes nothing, and for each answer all limits start unused.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from agents.models import Agent
from agents.selectors import agent_for_organization
from core.net import canonical_address
from core.text import plain_text
from decisions.entries import rule_for_log, what_is_missing
from decisions.requests import Decision, Reason
from decisions.whatif.rehearsal import Call, Rehearsed, RehearsedAgent, rehearse
from decisions.whatif.simulation import throttle_simulation
from decisions.wording import Words, explain_denial
from developers.models import Developer
from developers.roles import Right
from policies.refusals import refused_scopes
from policies.rules import title_of
from policies.selectors import policies_in_force
from resources.catalogue import Scope
from web.forms.context_field import ContextField
from web.forms.fields import IdSelect, PlainField
from web.portal.policies.verdicts import describe_unknown
from web.requests.access import developer_form
from web.requests.portal import portal_url
from web.user.consent.facts import facts_of
from web.user.consent.rehearsal import Answered, Request, grants, show_screen

MAX_ACTION, MAX_CONTEXT = 200, 4000
EXAMPLE = '{"recipient": "ada@example.com"}'
QUESTION = "question"
ALLOWED, ASKED, DENIED = "allowed", "asked", "denied"


class QuestionForm(forms.Form):
    """A request to try. `context` is the JSON that a service sends."""

    scope = forms.ChoiceField(label=_("Required scope"), widget=IdSelect)
    action = PlainField(
        label=_("Action"),
        max_length=MAX_ACTION,
        required=False,
        help_text=_("What the service calls it. Rules can name it."),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    context = ContextField(
        label=_("Context"),
        most=MAX_CONTEXT,
        help_text=_("A JSON object with what the request is about: recipient, target, amount, ip and so on."),
        widget=forms.Textarea(attrs={"rows": 4, "dir": "ltr", "spellcheck": "false", "placeholder": EXAMPLE}),
    )

    def __init__(self, data: QueryDict | None, *, scopes: Sequence[Scope]) -> None:
        super().__init__(data, prefix=QUESTION)
        choices = [(scope.id, f"{plain_text(scope.title)} ({scope.id})") for scope in scopes]
        self.fields["scope"].choices = choices  # type: ignore[attr-defined]

    def clean_context(self) -> Any:
        context = self.cleaned_data["context"]
        ip = context.get("ip", "")
        if "ip" in context and (not isinstance(ip, str) or canonical_address(ip) is None):
            raise forms.ValidationError(_("“ip” must be an IPv4 or IPv6 address."))
        return context

    def call(self) -> Call:
        data = self.cleaned_data
        return Call(data["scope"], data["context"], data["action"] or None)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a rule decided. The texts are safe to display.

    `policy_name` is the name that the policy had at the time. `url` is the policy's page, or empty if it was deleted.
    `number` is the rule's number in the policy, from 1. `detail` is what the rule said about the request.
    """

    policy_name: str
    url: str
    rule: str
    number: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A call and verify's answer. `remedy` is empty if the call is allowed."""

    call: Call
    outcome: str
    reason: str | None
    why: Words
    remedy: Words = ""
    ruling: Ruling | None = None


@developer_form(Right.DEVELOP)
def trial(request: HttpRequest, developer: Developer, agent_id: str) -> HttpResponse:
    """Show the consent screen for the scopes in the address. POST decides, and then asks verify."""
    agent = agent_for_organization(developer.organization_id, agent_id)
    agent.organization = developer.organization  # saves a query
    asked = Request.of(agent, request.GET)
    if not asked.asked:
        return render(request, "web/portal/agents/trial_no_scopes.html", {"agent": agent})
    screen = asked.screen()
    answered = Answered.read(request.POST, screen) if request.method == "POST" else Answered()
    if answered.is_decided:
        granted = grants(answered, screen)
        context = {"agent": agent, "asked": asked, "answered": answered, "grants": granted}
        return _result(request, context, asked, answered)
    in_force = policies_in_force(developer.organization_id, agent.id)
    refused = refused_scopes(in_force, [scope.id for scope in asked.offered])
    context = {
        "asked": asked,
        "offered": [(scope, refused.get(scope.id)) for scope in asked.offered],
        **facts_of(screen),
        **show_screen(screen, answered),
    }
    return render(request, "web/portal/agents/trial_consent.html", context, status=422 if answered.problem else 200)


def _result(request: HttpRequest, context: dict[str, Any], asked: Request, answered: Answered) -> HttpResponse:
    """Show what verify answers to a plain call for each scope, and to the question if there is one."""
    agent, data = asked.agent, request.POST if f"{QUESTION}-scope" in request.POST else None
    organization_id = str(agent.organization_id)
    throttle_simulation(organization_id)
    form = QuestionForm(data, scopes=asked.offered)
    calls = [Call(scope.id, {}) for scope in asked.offered]
    question = form.call() if form.is_valid() else None
    answers = _ask(agent, answered, [*([question] if question else []), *calls])
    context |= {
        "form": form,
        "kept": _kept(request),
        "answer": answers[0] if question else None,
        "answers": answers[1:] if question else answers,
        "hints": describe_unknown([question.action], organization_id) if question and question.action else (),
    }
    return render(request, "web/portal/agents/trial.html", context, status=422 if form.errors else 200)


def _ask(agent: Agent, answered: Answered, calls: Sequence[Call]) -> list[Answer]:
    """Decide each call separately, as the first one after the consent."""
    rehearsed = None
    if answered.granted:
        agent_now = RehearsedAgent.of(agent)
        rehearsed = Rehearsed(scopes=answered.granted, terms=answered.terms.stored(), agent=agent_now)
    return [_explain(str(agent.organization_id), call, rehearse(rehearsed, [call])[0]) for call in calls]


def _explain(organization_id: str, call: Call, decision: Decision) -> Answer:
    if decision.allowed:
        return Answer(call, ALLOWED, None, _("The user granted it, and no limit or policy prevents it."))
    policy_id, rule = rule_for_log(decision)
    metadata = {**what_is_missing(decision), **rule}
    ruling = read_ruling(organization_id, policy_id, metadata, {str(policy_id)})
    outcome = ASKED if decision.reason is Reason.APPROVAL_REQUIRED else DENIED
    explanation = explain_denial(decision.reason, metadata)
    return Answer(call, outcome, decision.reason, explanation.why, explanation.remedy, ruling)


def _kept(request: HttpRequest) -> list[tuple[str, str]]:
    """Return the fields of the decision, which the question form sends again."""
    fields = request.POST.lists()
    return [
        (name, str(value))
        for name, values in fields
        if name != "csrfmiddlewaretoken" and not name.startswith(f"{QUESTION}-")
        for value in values
    ]


def read_ruling(
    organization_id: str, policy_id: str | None, metadata: Mapping[str, Any], existing: Container[str]
) -> Ruling | None:
    """Return the ruling in the metadata of an entry, or None if no policy of the organization decided.

    `existing` are the ids of policies that have a page.
    """
    if not policy_id:
        return None
    rule_type, index = metadata.get("ruleType"), metadata.get("ruleIndex")
    return Ruling(
        plain_text(metadata.get("policyName")),
        portal_url(organization_id, "policy", policy_id) if policy_id in existing else "",
        title_of(rule_type) if rule_type else "",
        index + 1 if isinstance(index, int) else None,
        plain_text(metadata.get("detail")),
    )
