"""The rule types, one module per type. Every module in this package is imported, so a new type is a new file."""

from importlib import import_module
from pkgutil import iter_modules

from policies.rules.base import RULES, Denial, DuplicateRuleTypeError, Rule, RuleContext, register
from policies.rules.parsing import (
    InvalidRules,
    find_rule,
    parse_rules,
    readable_rules,
    sentence_of,
    sentences,
    title_of,
)

__all__ = [
    "RULES",
    "Denial",
    "DuplicateRuleTypeError",
    "InvalidRules",
    "Rule",
    "RuleContext",
    "find_rule",
    "parse_rules",
    "readable_rules",
    "register",
    "sentence_of",
    "sentences",
    "title_of",
]


def import_rule_types() -> None:
    """Import every module of this package, which registers its rule type."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")


import_rule_types()
