"""The values of a form, kept in the session while the user enters their password.

They are never submitted again. The page after the password only shows them, so that the user sees what they send.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponseBase, QueryDict

from accounts.errors import ReauthenticationRequired
from core import clock

LIFETIME_SECONDS = 600
# Longer forms are not kept.
MAX_CHARACTERS = 65_536
_KEY = "kept_post"


def keeps_form(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Keep the POST data if the view raises `ReauthenticationRequired`."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except ReauthenticationRequired:
            _keep(request)
            raise

    return wrapped


def take_form(request: HttpRequest) -> QueryDict | None:
    """Return the values kept for this page, and forget them. None if there are none, and for a POST."""
    found = request.session.get(_KEY)
    if request.method != "GET" or not found or found["page"] != request.get_full_path():
        return None
    del request.session[_KEY]
    is_old = clock.now().timestamp() - found["at"] > LIFETIME_SECONDS
    return None if is_old else QueryDict(found["form"])


def take_initial(request: HttpRequest, form_class: type[forms.Form]) -> dict[str, Any]:
    """Return the values kept for this page as initial values of the form."""
    kept = take_form(request)
    if kept is None:
        return {}
    lists = {name for name, field in form_class.base_fields.items() if isinstance(field, forms.MultipleChoiceField)}
    names = [name for name in form_class.base_fields if name in kept]
    return {name: kept.getlist(name) if name in lists else kept[name] for name in names}


def _keep(request: HttpRequest) -> None:
    sent = request.POST.copy()
    sent.pop("csrfmiddlewaretoken", None)
    text = sent.urlencode()
    if len(text) <= MAX_CHARACTERS:
        request.session[_KEY] = {"page": request.get_full_path(), "at": clock.now().timestamp(), "form": text}
