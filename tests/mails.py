"""Codes and links in mails."""

import re
from datetime import datetime
from typing import Any

from core.formats import exactly
from core.local import in_zone

JOINER = "\u2060"
# What a mail leads to if its reader did not do what it tells of: passkeys outlive a new password.
REMEDIES = ("/accounts/password/reset/", "/account/security", "/accounts/email/")
CODE = re.compile(r"^\s*([0-9A-Z]{5}-[0-9A-Z]{5})\s*$", re.M)


def code_in(mail: Any) -> str:
    """Return the code in the mail. Fails if there is none."""
    found = CODE.search(mail.body)
    assert found, mail.body
    return found[1]


def time_in_words(moment: datetime, zone: str) -> str:
    """Return a time as a mail to a user in this zone says it."""
    with in_zone(zone):
        return exactly(moment, "short")


def read(mail: Any) -> str:
    """Return the text of the mail as its reader sees it, without the characters that keep names from becoming links."""
    return str(mail.body).replace(JOINER, "")


def link_in(mail: Any) -> str:
    """Return the path of the link in the mail."""
    found = re.search(r"https?://[^/\s]+(/\S+)", mail.body)
    assert found, mail.body
    return found[1]


def leads_to(mail: Any, *paths: str) -> bool:
    """Return whether the mail has a link to each of these paths, at the end of a line."""
    return all(f"http://localhost:8000{path}\n" in mail.body for path in paths)
