"""The developer's API keys."""

from functools import partial

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.errors import Invalid
from core.http import SeeOther
from developers.api_keys import create_api_key, revoke_api_key, rotate_api_key
from developers.models import ApiKey, Developer
from developers.roles import Right
from developers.selectors import api_key_within_reach, api_keys_for_developer, current_api_key_within_reach
from web.forms.fields import PlainField, show_in
from web.portal.keys.rotating import SecretRow, rotate_named_secret
from web.requests import once
from web.requests.access import developer_actor, developer_form
from web.requests.kept_post import take_initial
from web.requests.portal import portal_url

DAY = 86_400
LIFETIMES = (
    ("", gettext_lazy("Never")),
    (30 * DAY, gettext_lazy("After 30 days")),
    (90 * DAY, gettext_lazy("After 90 days")),
    (365 * DAY, gettext_lazy("After one year")),
)


class ApiKeyForm(forms.Form):
    name = PlainField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("Where it is used, such as “deployment” or “laptop”."),
    )
    lifetime_seconds = forms.TypedChoiceField(
        label=gettext_lazy("Expires"), choices=LIFETIMES, coerce=int, empty_value=None, required=False
    )


@developer_form(Right.READ)
def api_keys(request: HttpRequest, developer: Developer) -> HttpResponse:
    """List the keys and show a new one once. POST creates another key."""
    form = ApiKeyForm(request.POST if request.method == "POST" else None, initial=take_initial(request, ApiKeyForm))
    if form.is_valid():
        try:
            added = create_api_key(actor=developer_actor(request, developer), developer=developer, **form.cleaned_data)
        except Invalid as error:
            show_in(form, error)
        else:
            return _show_once(request, developer, added.value)
    context = {
        "form": form,
        "rows": [_row(developer, key) for key in api_keys_for_developer(developer)],
        "secret": once.take(request, developer.id),
    }
    return render(request, "web/portal/keys/api_keys.html", context, status=422 if form.is_bound else 200)


@developer_form(Right.READ)
def rotate(request: HttpRequest, developer: Developer, key_id: str) -> HttpResponse:
    return rotate_named_secret(
        request,
        find=partial(current_api_key_within_reach, developer, key_id),
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
        "old": api_key_within_reach(developer, key_id),
        "title": _("Revoke this API key?"),
        "confirm_label": _("Revoke API key"),
        "back_url": portal_url(developer.organization_id, "api-keys"),
    }
    return render(request, "web/portal/keys/api_key_revoke.html", context)


def _row(developer: Developer, key: ApiKey) -> SecretRow:
    """Return the row of a key in the table."""
    rotate_url, revoke_url = (
        portal_url(developer.organization_id, f"api-key-{act}", key.id) for act in ("rotate", "revoke")
    )
    return SecretRow(key, rotate_url, revoke_url)


def _show_once(request: HttpRequest, developer: Developer, value: str) -> HttpResponse:
    once.put(request, developer.id, value)
    return SeeOther(portal_url(developer.organization_id, "api-keys"))
