"""The normalized form of email addresses, in which they are stored, compared, throttled and used to send mail."""

import re
import unicodedata

import idna
from django.utils.translation import gettext_noop

from core.errors import Invalid

_HOST_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_A_LABEL = "xn--"
# Far longer than any address. NFKC can make a text eighteen times longer, and takes half a second for two megabytes.
_MAX_LENGTH = 1000


def normalize_email(address: str) -> str:
    """Return `address` in NFKC and lowercase, with its domain in A-labels (UTS 46, RFC 5891).

    Two spellings of one mailbox must not be two accounts, and email must go to the address that was compared. Raises
    `Invalid` if the domain cannot be encoded, or if the text is far too long. A text without `@` is not an address and
    matches no account.
    """
    if len(address) > _MAX_LENGTH:
        raise Invalid.field("email", gettext_noop("Must be an email address, such as ada@example.com."))
    local, at, domain = unicodedata.normalize("NFKC", address).strip().lower().rpartition("@")
    return f"{local}@{_encode_domain(domain)}" if at else domain


def _encode_domain(domain: str) -> str:
    """Encode each label separately, so that a label outside IDNA, such as `ab--cd`, does not affect the others."""
    try:
        return ".".join(map(_encode_label, idna.uts46_remap(domain).split(".")))
    except UnicodeError as error:
        raise Invalid.field(
            "email", gettext_noop("Must be an email address with a valid domain, such as ada@example.com.")
        ) from error


def _encode_label(label: str) -> str:
    if _HOST_LABEL.fullmatch(label) and not label.startswith(_A_LABEL):
        return label
    return idna.alabel(label).decode()
