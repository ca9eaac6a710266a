"""The limits of a connection as sentences for the user who set them. They count only this user's own agent."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from core.local import listed
from core.text import plain_text
from policies.rules import Rule, find_rule
from policies.rules.context_match import ContextMatch
from resources.actions import titles_for_users
from web.wording.names import scope_titles

RECIPIENT = "recipient"
ANY_ADDRESS = "*@"


def limits_in_words(limits: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each limit of a scope, without a final period."""
    return [rule_in_words(find_rule(limit)) for limit in limits]


def rule_in_words(rule: Rule | None) -> str:
    """Return the sentence for a limit, or a fallback if it cannot be read."""
    if rule is None:
        return _("A limit that cannot be read, so every use is denied")
    if entries := recipients_of(rule):
        return _("Only to %(recipients)s") % {"recipients": listed(entries, "or")}
    return rule.sentence(titles_for_users())


def recipients_of(rule: Rule | None) -> list[str]:
    """Return the addresses, names and domains that a limit allows as recipients. Empty for other rule types."""
    if not isinstance(rule, ContextMatch) or len(rule.conditions) != 1:
        return []
    only = rule.conditions[0]
    if (only.field, only.operator) != (RECIPIENT, "matches_any"):
        return []
    patterns = list(only.values)
    domains = [one.removeprefix(ANY_ADDRESS) for one in patterns if one.startswith(ANY_ADDRESS)]
    return [*domains, *(one for one in patterns if not one.startswith(ANY_ADDRESS) and one not in domains)]


def bounds_in_words(limits: Mapping[str, Iterable[Mapping[str, Any]]], targets: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each limit and target with which an agent handed something over, with the permission."""
    ids = dict.fromkeys([*limits, *targets])
    titles = scope_titles(ids)
    found = (
        (scope, [*limits_in_words(limits.get(scope, ())), *targets_in_words(targets.get(scope, ()))]) for scope in ids
    )
    return [of_scope(titles.get(scope, scope), sentence) for scope, sentences in found for sentence in sentences]


def of_scope(title: str, sentence: str) -> str:
    """Return a limit with the permission that it bounds."""
    return _("%(scope)s: %(limit)s") % {"scope": title, "limit": sentence}


def targets_in_words(targets: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each of the targets that an agent handed over for a scope."""
    for target in targets:
        yield _("Only for: %(identifiers)s") % {"identifiers": listed(map(plain_text, target["identifiers"]))}


def recipient_limit(entries: Iterable[str]) -> dict[str, Any]:
    """Return the limit that allows these recipients. A domain allows its addresses, and the domain itself as a name."""
    patterns = [pattern for entry in entries for pattern in _patterns(entry)]
    condition = {"field": RECIPIENT, "operator": "matches_any", "values": list(dict.fromkeys(patterns))}
    return {"type": "context_match", "config": {"conditions": [condition]}}


def is_domain(entry: str) -> bool:
    return "." in entry and "@" not in entry.removeprefix("@") and " " not in entry


def _patterns(entry: str) -> list[str]:
    if not is_domain(entry):
        return [entry]
    domain = entry.removeprefix("@").lower()
    return [f"{ANY_ADDRESS}{domain}", domain]
