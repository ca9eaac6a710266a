"""The one form of an e-mail address under which accounts are kept, compared, throttled and written to."""

import unicodedata

import idna


def normalize_email(address: str) -> str:
    """Return `address` after NFKC, in lower case, its domain in A-labels (UTS 46, RFC 5891).

    Two spellings of one mailbox must not be two accounts, and mail must go to the address that was compared.
    A domain that cannot be encoded stays as it is: the address then matches no account and fails validation.
    """
    local, at, domain = unicodedata.normalize("NFKC", address).strip().lower().rpartition("@")
    return f"{local}{at}{_encode_domain(domain)}"


def _encode_domain(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode()
    except UnicodeError:
        return domain
