"""Addresses of public pages, as developers give them."""

import re
from urllib.parse import urlsplit

from django.utils.translation import gettext_noop

MAX_LINK_LENGTH = 500
PRINTABLE = re.compile(r"[!-~]+")
# A name in the public DNS. IP addresses and names without a dot are refused.
HOST = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")


def problem_with_link(url: str) -> str | None:
    """Return why the text cannot be the address of a public page, or None if it can."""
    if not PRINTABLE.fullmatch(url) or len(url) > MAX_LINK_LENGTH or "\\" in url:
        return gettext_noop("Must be printable ASCII without spaces, at most 500 characters.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return gettext_noop("Must be an https address.")
    if parts.scheme != "https" or not HOST.fullmatch(parts.hostname or ""):
        return gettext_noop("Must begin with https:// and the name of a website.")
    if "@" in parts.netloc or port not in (None, 443):
        return gettext_noop("Must not have a user name, a password or a port.")
    return None
