"""The one form of an e-mail address under which accounts are kept, compared, throttled and written to."""

import re
import unicodedata

import idna

from core.errors import Invalid

_HOST_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_A_LABEL = "xn--"


def normalize_email(address: str) -> str:
    """Return `address` after NFKC, in lower case, its domain in A-labels (UTS 46, RFC 5891).

    Two spellings of one mailbox must not be two accounts, and mail must go to the address that was compared. Raises
    `Invalid` when the domain has no such form. What has no `@` is no address and matches no account.
    """
    local, at, domain = unicodedata.normalize("NFKC", address).strip().lower().rpartition("@")
    return f"{local}@{_encode_domain(domain)}" if at else domain


def _encode_domain(domain: str) -> str:
    """Encode label by label: one that IDNA does not know, such as `ab--cd`, says nothing about its neighbours."""
    try:
        return ".".join(map(_encode_label, idna.uts46_remap(domain).split(".")))
    except UnicodeError as error:
        raise Invalid.field(
            "email", "Must be an email address with a valid domain, such as ada@example.com."
        ) from error


def _encode_label(label: str) -> str:
    if _HOST_LABEL.fullmatch(label) and not label.startswith(_A_LABEL):
        return label
    return idna.alabel(label).decode()
