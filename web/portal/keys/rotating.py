"""The page that replaces a named secret, which is a client secret or an API key, with a new one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from core import clock
from core.errors import Invalid, NotFound
from core.http import SeeOther
from core.rotation import AlreadyReplaced, NamedSecret, NewSecret
from web.forms.fields import show_in
from web.portal.agents.forms import RotateForm
from web.requests import once
from web.requests.kept_post import take_initial

SOON = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SecretRow:
    """A secret, with the pages that rotate and revoke it. `facts` are what an API key may do, and who made it."""

    secret: NamedSecret
    rotate_url: str
    revoke_url: str
    facts: Sequence[str] = ()

    @property
    def ends_soon(self) -> bool:
        end = self.secret.expires_at
        return end is not None and end - clock.now() <= SOON


def rotate_named_secret(
    request: HttpRequest,
    *,
    find: Callable[[], NamedSecret],
    rotate: Callable[..., NewSecret],
    owner_id: str,
    back_url: str,
    gone: str,
    context: Mapping[str, Any],
) -> HttpResponse:
    """Ask for the overlap, rotate the secret, and redirect to `back_url`, the list that shows the new one.

    `find` and `rotate` raise `AlreadyReplaced` and `NotFound`. After a double click, the list shows the message of that
    error or `gone`, and the secret that the first click created.
    """
    form = RotateForm(request.POST if request.method == "POST" else None, initial=take_initial(request, RotateForm))
    try:
        old = find()
        if form.is_valid():
            new = rotate(**form.cleaned_data)
            once.put(request, owner_id, new.value)
            return SeeOther(back_url)
    except AlreadyReplaced as error:
        messages.error(request, error.translated)
        return SeeOther(back_url)
    except NotFound:
        if request.method != "POST" or not once.is_waiting(request):  # else the first click of two has replaced it
            raise
        messages.error(request, gone)
        return SeeOther(back_url)
    except Invalid as error:
        show_in(form, error, RotateForm.PLACES)
    page = {"form": form, "old": old, "back_url": back_url, **context}
    return render(request, "web/portal/keys/rotate.html", page, status=422 if form.is_bound else 200)
