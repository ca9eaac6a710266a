"""The API keys of a member and of the organization."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agents.selectors import agents_for_organization, all_agents_of_organization
from core.errors import Invalid
from core.http import SeeOther
from core.text import plain_text
from developers.api_keys import create_api_key, revoke_api_key, rotate_api_key
from developers.models import ApiKey, Developer
from developers.role_words import NAMES
from developers.roles import Right, Role, covers, lesser, may, require
from developers.selectors import (
    api_key_within_reach,
    api_keys_for_developer,
    api_keys_of_organization,
    current_api_key_within_reach,
)
from web.forms.fields import PlainField, show_in
from web.portal.keys.rotating import SecretRow, rotate_named_secret
from web.requests import once
from web.requests.access import developer_actor, developer_form
from web.requests.kept_post import take_initial
from web.requests.portal import portal_url

DAY = 86_400
# Of agents to which a key can be limited. The API takes all agents.
MAX_CHOICES = 50
LIFETIMES = (
    ("", gettext_lazy("Never")),
    (30 * DAY, gettext_lazy("After 30 days")),
    (90 * DAY, gettext_lazy("After 90 days")),
    (365 * DAY, gettext_lazy("After one year")),
)


class ApiKeyForm(forms.Form):
    """A key to create. A member without the right to make one for the organization has no such field."""

    PLACES: ClassVar = {"agentIds": "agent_ids", "expiresInSeconds": "lifetime_seconds"}

    name = PlainField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("Where it is used, such as “deployment” or “laptop”."),
    )
    role = forms.TypedChoiceField(
        label=gettext_lazy("Role"),
        coerce=str,
        empty_value=None,
        required=False,
        help_text=gettext_lazy("What the key can do. It can never do more than your own role."),
    )
    lifetime_seconds = forms.TypedChoiceField(
        label=gettext_lazy("Expires"), choices=LIFETIMES, coerce=int, empty_value=None, required=False
    )
    owned_by_organization = forms.BooleanField(
        label=gettext_lazy("Organization key (keeps working after you leave)"),
        required=False,
        help_text=gettext_lazy(
            "It has the role Developer or Auditor, and expires after one year at the latest. All owners and admins get "
            "an email about it."
        ),
    )
    agent_ids = forms.MultipleChoiceField(
        label=gettext_lazy("Only for these agents"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "The key can access nothing else and create nothing. If you choose none, it has no limit."
        ),
    )

    def __init__(self, *args: Any, developer: Developer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        role, agents = self.fields["role"], self.fields["agent_ids"]
        role.choices = [(one, NAMES[one]) for one in Role if covers(developer.role, one)]  # type: ignore[attr-defined]
        role.initial = lesser(developer.role, Role.DEVELOPER)
        newest = agents_for_organization(developer.organization_id)[:MAX_CHOICES]
        agents.choices = [(agent.id, plain_text(agent.name)) for agent in newest]  # type: ignore[attr-defined]
        if not newest and "agent_ids" not in self.data:  # else the chosen agents were deleted meanwhile
            del self.fields["agent_ids"]
        if not may(developer.role, Right.ADMINISTER):
            del self.fields["owned_by_organization"]

    def wanted(self) -> dict[str, Any]:
        return {**self.cleaned_data, "agent_ids": self.cleaned_data.get("agent_ids") or None}


@developer_form(Right.READ)
def api_keys(request: HttpRequest, developer: Developer) -> HttpResponse:
    """List the keys and show a new one once. POST creates another key."""
    sent = request.POST if request.method == "POST" else None
    initial = _suggested(request) | take_initial(request, ApiKeyForm)
    form = ApiKeyForm(sent, initial=initial, developer=developer)
    if form.is_valid():
        try:
            added = create_api_key(actor=developer_actor(request, developer), developer=developer, **form.wanted())
        except Invalid as error:
            show_in(form, error, ApiKeyForm.PLACES)
        else:
            return _show_once(request, developer, added.value)
    own = list(api_keys_for_developer(developer))
    of_organization = list(api_keys_of_organization(developer.organization_id).select_related("made_by__user"))
    names = _agent_names(developer, [*own, *of_organization])
    context = {
        "form": form,
        "rows": [_row(developer, key, names) for key in own],
        "organization_rows": [_row(developer, key, names) for key in of_organization],
        "secret": once.take(request, developer.id),
    }
    return render(request, "web/portal/keys/api_keys.html", context, status=422 if form.is_bound else 200)


@developer_form(Right.READ)
def rotate(request: HttpRequest, developer: Developer, key_id: str) -> HttpResponse:
    return rotate_named_secret(
        request,
        find=partial(_find, current_api_key_within_reach, developer, key_id),
        rotate=partial(rotate_api_key, actor=developer_actor(request, developer), developer=developer, key_id=key_id),
        owner_id=developer.id,
        back_url=portal_url(developer.organization_id, "api-keys"),
        gone=_("This API key no longer works."),
        context={"name": _("API keys"), "title": _("Rotate API key"), "confirm_label": _("Rotate API key")},
    )


@developer_form(Right.READ)
def revoke(request: HttpRequest, developer: Developer, key_id: str) -> HttpResponse:
    if request.method == "POST":
        revoke_api_key(actor=developer_actor(request, developer), developer=developer, key_id=key_id)
        messages.success(request, _("Revoked. The API key no longer works."))
        return SeeOther(portal_url(developer.organization_id, "api-keys"))
    context = {
        "old": _find(api_key_within_reach, developer, key_id),
        "title": _("Revoke this API key?"),
        "confirm_label": _("Revoke API key"),
        "back_url": portal_url(developer.organization_id, "api-keys"),
    }
    return render(request, "web/portal/keys/api_key_revoke.html", context)


def _suggested(request: HttpRequest) -> dict[str, str]:
    """Return what the link to this page suggests for a new key."""
    return {name: request.GET[name] for name in ("name", "role") if name in request.GET}


def _find(find: Callable[[Developer, str], ApiKey], developer: Developer, key_id: str) -> ApiKey:
    """Return the key. Raises `RoleInsufficient` for the organization's unless the member administers it."""
    key = find(developer, key_id)
    if key.developer_id is None:
        require(developer.role, Right.ADMINISTER)
    return key


def _row(developer: Developer, key: ApiKey, agents: Mapping[str, str]) -> SecretRow:
    """Return the row of a key in the table. `agents` are names by id."""
    rotate_url, revoke_url = (
        portal_url(developer.organization_id, f"api-key-{act}", key.id) for act in ("rotate", "revoke")
    )
    return SecretRow(key, rotate_url, revoke_url, list(_facts(developer, key, agents)))


def _facts(developer: Developer, key: ApiKey, agents: Mapping[str, str]) -> Iterator[str]:
    """Yield what the key may do, for which agents, and who made it if it belongs to the organization."""
    power = Role(key.role) if key.developer_id is None else lesser(key.role, developer.role)
    words = {"role": NAMES[key.role], "power": NAMES[power]}
    yield (
        _("Role: %(role)s") if power == key.role else _("Role: %(role)s, limited to %(power)s by your own role")
    ) % words
    if key.agent_ids is not None:
        names = get_text_list([agents.get(one, one) for one in key.agent_ids], _("and"))
        yield _("Only for %(agents)s") % {"agents": names}
    if key.made_by is not None:
        yield _("Made by %(email)s") % {"email": plain_text(key.made_by.user.email)}


def _agent_names(developer: Developer, keys: Iterable[ApiKey]) -> dict[str, str]:
    """Return the names of the agents to which keys are limited, by id."""
    ids = {one for key in keys for one in key.agent_ids or ()}
    found = all_agents_of_organization(developer.organization_id).filter(pk__in=ids)
    return {pk: plain_text(name) for pk, name in found.values_list("pk", "name")}


def _show_once(request: HttpRequest, developer: Developer, value: str) -> HttpResponse:
    once.put(request, developer.id, value)
    return SeeOther(portal_url(developer.organization_id, "api-keys"))
