"""Rules in words for developers: what they name has its title, with its id beside it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from core.text import plain_text
from policies.rules import find_rule, sentence_of
from policies.rules.words import Titles
from resources.actions import titles_for_users
from resources.selectors import own_scopes


@dataclass(frozen=True, slots=True)
class RuleInWords:
    """A stored rule as a sentence without a period. `actions` are the ids and patterns that it names."""

    sentence: str
    actions: Sequence[str]


def titles_for_developers(organization_id: str) -> Titles:
    """Return the titles of what the organization's rules can name, by id."""
    own = own_scopes(organization_id).values_list("id", "title")
    return titles_for_users({scope: plain_text(title) for scope, title in own})


def describe_rules(raw_rules: Iterable[Any], titles: Titles) -> list[RuleInWords]:
    """Return each stored rule in words. `titles` are those of `titles_for_developers`."""
    found = map(find_rule, raw_rules)
    return [RuleInWords(sentence_of(rule, names=titles), rule.actions if rule else ()) for rule in found]
