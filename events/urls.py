"""Where webhooks are sent: which URLs are accepted, and which addresses their hosts may have."""

from collections.abc import Callable
from ipaddress import ip_address
from threading import BoundedSemaphore
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext_noop

from core.errors import Invalid
from core.fetching import AddressRefused, FetchFailed, TooManyFetches, checked_addresses, is_public, run_in_slot
from core.net import Address
from core.uris import UnusableUri, canonical_uri
from core.wording import Filled

# The longest that `Webhook.url` holds, in canonical form.
MAX_LENGTH = 2048
HTTPS_PORT = 443
# Below it are mail servers and other services that read what they are sent as commands.
MIN_PORT = 1024
LOOKUP_SECONDS = 4.0
MAX_LOOKUPS = 3

_slots = BoundedSemaphore(MAX_LOOKUPS)


def checked_url(url: str) -> str:
    """Return the URL in canonical form. Raises `Invalid`, and `TooManyFetches` if too many hosts are being looked up.

    The addresses of the host are checked now, and again at each try. Call it outside transactions, because it can take
    `LOOKUP_SECONDS`.
    """
    try:
        checked = canonical_uri(url)
    except UnusableUri as error:
        raise _invalid(error.args[0]) from None
    parts = urlsplit(checked)
    if len(checked) > MAX_LENGTH:
        raise _invalid(Filled(gettext_noop("Must be at most %(most)d characters long."), most=MAX_LENGTH))
    if parts.scheme == "http" and not settings.WEBHOOK_ALLOW_LOOPBACK:
        raise _invalid(gettext_noop("Must be an https URL."))
    if parts.port not in (None, HTTPS_PORT) and (parts.port or 0) < MIN_PORT:
        raise _invalid(Filled(gettext_noop("Must have port 443, or one from %(least)d on."), least=MIN_PORT))
    _check_host(parts.hostname or "", reachable_by(parts.scheme))
    return checked


def reachable_by(scheme: str) -> Callable[[Address], bool]:
    """Return which addresses a webhook may be sent to: public ones and, if the setting says so, those of this host.

    http is for this host only.
    """
    return _is_own if scheme == "http" else _is_public_or_own


def _is_own(address: Address) -> bool:
    return settings.WEBHOOK_ALLOW_LOOPBACK and address.is_loopback


def _is_public_or_own(address: Address) -> bool:
    return is_public(address) or _is_own(address)


def _check_host(host: str, may_reach: Callable[[Address], bool]) -> None:
    busy = TooManyFetches(gettext_noop("Try again in a moment."))
    try:
        run_in_slot(lambda: checked_addresses(host, may_reach), slots=_slots, seconds=LOOKUP_SECONDS, busy=busy)
    except AddressRefused:
        raise _invalid(_refusal(host, is_own=may_reach is _is_own)) from None
    except (FetchFailed, OSError, UnicodeError):  # a timeout is an `OSError`
        message = gettext_noop("The host has no address. Check its spelling, and its records in DNS.")
        raise _invalid(message) from None


def _refusal(host: str, *, is_own: bool) -> str:
    if is_own:
        return gettext_noop("Must be an https URL, except for a host of this machine.")
    try:
        ip_address(host)
    except ValueError:
        return gettext_noop("The host has an address that is not public. All its addresses must be on the internet.")
    return gettext_noop("Must not be an address of a private network. Use a host on the internet.")


def _invalid(message: str) -> Invalid:
    return Invalid.field("url", message)
