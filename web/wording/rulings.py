"""The rule that denied a request, and its policy, for the developer whose organization wrote it."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from core.text import plain_text
from policies.rules import title_of


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a rule decided. The texts are safe to display.

    `policy_name` is the name that the policy had at the time. `url` is the policy's page, or empty if it was deleted.
    `number` is the rule's number in the policy, from 1. `detail` is what the rule said about the request.
    """

    policy_name: str
    url: str
    rule: str
    number: int | None
    detail: str


def read_ruling(policy_id: str | None, metadata: Mapping[str, Any], existing: Container[str]) -> Ruling | None:
    """Return the ruling in the metadata of an entry, or None if no policy of the organization decided.

    `existing` are the ids of policies that have a page.
    """
    if not policy_id:
        return None
    rule_type, index = metadata.get("ruleType"), metadata.get("ruleIndex")
    return Ruling(
        plain_text(metadata.get("policyName")),
        reverse("web:policy", args=[policy_id]) if policy_id in existing else "",
        title_of(rule_type) if rule_type else "",
        index + 1 if isinstance(index, int) else None,
        plain_text(metadata.get("detail")),
    )
