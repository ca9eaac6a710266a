"""Subjects: whose key protects the personal data of an entry (`audit.entries.personal_keys`).

If a person acted, the data is their address and user agent, or is about themselves. Otherwise it is about the user
of the entry, as is the reason that an administrator types: such an entry leaves out the administrator's own address and
user agent (`is_about_another`). A request for consent often comes from the browser of a user who has not signed in yet:
it has a key of its own, so that it can be erased with the user who decides it. The rest belongs to an organization's
month.
"""

from collections.abc import Mapping, Sequence
from typing import Any

# Actors of these kinds are people. A developer has the id of the developer account.
PEOPLE = frozenset({"user", "developer", "administrator"})
NO_ORGANIZATION = "-"
MONTH_LENGTH = len("2026-11")


def subject_of(content: Mapping[str, Any], organization_ids: Sequence[str]) -> str:
    """Return the subject of an entry: a person's id, a consent's id, or such as `org_.../2026-11`."""
    actor = content["actor"]
    if content["userId"] and content["metadata"].get("reason", "") is None:
        return str(content["userId"])  # the reason is about the user (`audit.entries.drafts`)
    if actor["kind"] in PEOPLE and actor["id"]:
        return str(actor["id"])
    about = content["userId"] or content["consentId"]
    if about:
        return str(about)
    organization = organization_ids[0] if organization_ids else NO_ORGANIZATION
    return f"{organization}/{content['timestamp'][:MONTH_LENGTH]}"


def is_about_another(content: Mapping[str, Any]) -> bool:
    """Return whether a person acted, but the key of the entry is not theirs.

    The addresses of agents and services belong to no person, or to the user for whom the agent runs.
    """
    actor = content["actor"]
    return actor["kind"] in PEOPLE and subject_of(content, ()) != actor["id"]
