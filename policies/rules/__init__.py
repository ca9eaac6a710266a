"""The rule types: one module each. All modules here are imported, so that adding a type is adding a file."""

from importlib import import_module
from pkgutil import iter_modules

from policies.rules.base import RULES, Denial, DuplicateRuleTypeError, Rule, RuleContext, register
from policies.rules.parsing import InvalidRules, parse_rules

__all__ = [
    "RULES",
    "Denial",
    "DuplicateRuleTypeError",
    "InvalidRules",
    "Rule",
    "RuleContext",
    "parse_rules",
    "register",
]


def import_rule_types() -> None:
    """Import every module of this package, which registers its rule type."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")


import_rule_types()
