"""Where a redirect URI leads, for display."""

from urllib.parse import urlsplit

from django.utils.translation import gettext_noop

from agents.redirects import is_loopback, is_private_use
from core.wording import Filled


def destination(uri: str) -> Filled:
    """Return the destination of `uri` for display. A host is shown only if the browser opens that host.

    A private-use scheme can look like a host (`accounts.google.com:`), so the text says that it belongs to an app.
    """
    parts = urlsplit(uri)
    if is_private_use(uri):
        return Filled(gettext_noop("an app on this device (%(scheme)s:)"), scheme=parts.scheme)
    if is_loopback(uri):
        return Filled(gettext_noop("this computer"))
    return Filled("%(host)s", host=parts.netloc.lower())
