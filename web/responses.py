"""Responses other than rendered templates."""

from urllib.parse import urlsplit

from django.http import HttpResponseRedirect


class SeeOther(HttpResponseRedirect):
    """A 303 redirect after a successful POST."""

    status_code = 303


class LeaveTo(SeeOther):
    """A 303 redirect to a validated redirect URI, with any scheme and a `state` of any length."""

    def __init__(self, redirect_to: str) -> None:
        self.allowed_schemes = [urlsplit(redirect_to).scheme]
        super().__init__(redirect_to, max_length=None)
