"""The answers that pages give besides a rendered template."""

from urllib.parse import urlsplit

from django.http import HttpResponseRedirect


class SeeOther(HttpResponseRedirect):
    """303: what was posted is done, look there now."""

    status_code = 303


class LeaveTo(SeeOther):
    """303 to a redirect URI that has been validated, whatever its scheme and the length of `state`."""

    def __init__(self, redirect_to: str) -> None:
        self.allowed_schemes = [urlsplit(redirect_to).scheme]
        super().__init__(redirect_to, max_length=None)
