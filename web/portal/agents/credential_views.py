"""The client secrets of an agent."""

from functools import partial

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from agents.client_secrets import create_client_secret, revoke_client_secret, rotate_client_secret
from agents.models import Agent, ClientSecret
from agents.selectors import agent_for_organization, current_secret, live_secret, live_secrets
from core.errors import Invalid
from core.http import SeeOther
from developers.models import Developer
from developers.roles import Right
from web.forms.fields import show_in
from web.portal.agents.forms import SecretForm
from web.portal.keys.rotating import SecretRow, rotate_named_secret
from web.requests import once
from web.requests.access import developer_actor, developer_form
from web.requests.kept_post import take_initial
from web.requests.portal import portal_url


@developer_form(Right.READ, post=Right.DEVELOP)
def credentials(request: HttpRequest, developer: Developer, agent_id: str) -> HttpResponse:
    """List the secrets and show a new one once. POST creates another secret."""
    agent = agent_for_organization(developer.organization_id, agent_id)
    form = SecretForm(request.POST if request.method == "POST" else None, initial=take_initial(request, SecretForm))
    if form.is_valid():
        try:
            added = create_client_secret(
                actor=developer_actor(request, developer), agent=agent, name=form.cleaned_data["name"]
            )
        except Invalid as error:
            show_in(form, error)
        else:
            return _show_once(request, agent, added.value)
    context = {
        "agent": agent,
        "form": form,
        "rows": [_row(agent, one) for one in live_secrets(agent)],
        "secret": once.take(request, agent.id),
    }
    return render(request, "web/portal/agents/credentials.html", context, status=422 if form.is_bound else 200)


@developer_form(Right.DEVELOP)
def rotate(request: HttpRequest, developer: Developer, agent_id: str, secret_id: str) -> HttpResponse:
    agent = agent_for_organization(developer.organization_id, agent_id)
    return rotate_named_secret(
        request,
        find=partial(current_secret, agent, secret_id),
        rotate=partial(
            rotate_client_secret, actor=developer_actor(request, developer), agent=agent, secret_id=secret_id
        ),
        owner_id=agent.id,
        back_url=_url(agent),
        gone=_("This client secret no longer works."),
        context={"name": agent.name, "title": _("Rotate client secret")},
    )


@developer_form(Right.DEVELOP)
def revoke(request: HttpRequest, developer: Developer, agent_id: str, secret_id: str) -> HttpResponse:
    agent = agent_for_organization(developer.organization_id, agent_id)
    if request.method == "POST":
        revoke_client_secret(actor=developer_actor(request, developer), agent=agent, secret_id=secret_id)
        messages.success(request, _("Revoked. The secret no longer works."))
        return SeeOther(_url(agent))
    context = {
        "agent": agent,
        "old": live_secret(agent, secret_id),
        "is_last": live_secrets(agent).count() == 1,
        "title": _("Revoke this client secret?"),
        "confirm_label": _("Revoke secret"),
        "back_url": _url(agent),
    }
    return render(request, "web/portal/agents/secret_revoke.html", context)


def _row(agent: Agent, secret: ClientSecret) -> SecretRow:
    """Return the row of a secret in the table."""
    rotate_url, revoke_url = (
        portal_url(agent.organization_id, f"secret-{act}", agent.id, secret.id) for act in ("rotate", "revoke")
    )
    return SecretRow(secret, rotate_url, revoke_url)


def _show_once(request: HttpRequest, agent: Agent, value: str) -> HttpResponse:
    once.put(request, agent.id, value)
    return SeeOther(_url(agent))


def _url(agent: Agent) -> str:
    return portal_url(agent.organization_id, "agent-credentials", agent.id)
