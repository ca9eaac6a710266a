"""The rule types: one module each. All modules here are imported, so that adding a type is adding a file."""

from importlib import import_module
from pkgutil import iter_modules

from policies.rules.base import RULES, Denial, DuplicateRuleTypeError, Rule, RuleContext, register

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

from policies.rules.parsing import InvalidRules, parse_rules  # noqa: E402  (needs the registry filled)

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
