"""Parse rules from JSON, with errors that name the field and the remedy."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from django.utils.translation import gettext, gettext_noop
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from core.errors import FieldError, Invalid
from core.text import echo, nearest
from core.validation import MAX_ERRORS, MESSAGES, details_of, did_you_mean, dotted, explain
from core.wording import Filled
from policies.rules.base import RULES, Rule
from policies.rules.words import Titles

MAX_RULES = 20
# As JSON in UTF-8. The form of a policy, which spells a byte with up to three, must fit in a request of 256 KiB.
MAX_RULES_BYTES = 64 * 1024
RULE_KEYS = ("type", "config")
# Each of the expected values in an error of pydantic.
QUOTED = re.compile(r"'([^']*)'")


def title_of(rule_type: str) -> str:
    """Return the title of a rule type, or the type itself if it no longer exists."""
    return gettext(RULES[rule_type].title) if rule_type in RULES else rule_type


class InvalidRules(Invalid):
    """The rules are invalid. `errors` names each invalid field (`rules.0.config.maxRequests`)."""

    title = gettext_noop("The rules are not valid")

    @classmethod
    def first(cls, detail: str, errors: Iterable[FieldError]) -> "InvalidRules | None":
        """Return an error with at most the first `MAX_ERRORS`, without computing more, or None if there are none."""
        listed = tuple(islice(errors, MAX_ERRORS))
        if len(listed) == MAX_ERRORS:
            most = Filled(gettext_noop("Only the first %(most)d errors are listed."), most=MAX_ERRORS)
            detail = Filled("%(detail)s %(most)s", detail=Filled(detail), most=most) if detail else most
        return cls(detail, errors=listed) if listed else None


def parse_rules(raw: Any) -> tuple[Rule, ...]:
    """Return a policy's rules from a list of `{"type", "config"}`. Raises `InvalidRules` with the first errors."""
    if not isinstance(raw, list):
        raise InvalidRules(errors=(FieldError("rules", gettext_noop("Must be a list of rules.")),))
    if len(raw) > MAX_RULES:
        message = Filled(gettext_noop("At most %(most)d rules."), most=MAX_RULES)
        raise InvalidRules(errors=(FieldError("rules", message),))
    if _size(raw) > MAX_RULES_BYTES:
        message = Filled(
            gettext_noop("Must be at most %(most)d bytes as JSON. Split the policy."), most=MAX_RULES_BYTES
        )
        raise InvalidRules(errors=(FieldError("rules", message),))
    rules: list[Rule] = []
    error = InvalidRules.first("", _parse_into(rules, raw))
    if error:
        raise error
    return tuple(rules)


def _size(raw: Sequence[Any]) -> int:
    text = json.dumps(raw, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode(errors="surrogatepass"))


def _parse_into(rules: list[Rule], raw: Sequence[Any]) -> Iterator[FieldError]:
    """Append the valid rules to `rules`, and yield the errors of the others."""
    for index, item in enumerate(raw):
        try:
            rule = parse_rule(item, f"rules.{index}")
        except InvalidRules as error:
            yield from error.errors
            continue
        rules.append(rule)
        most, number = rule.most_per_policy, sum(each.type == rule.type for each in rules)
        if most is not None and number > most:
            text = gettext_noop("A policy must have at most %(most)d rules of the type %(type)s.")
            yield FieldError(f"rules.{index}.type", Filled(text, most=most, type=rule.type))


def parse_rule(raw: Any, path: str = "rule") -> Rule:
    """Return one rule. Raises `InvalidRules` with the first errors, whose fields start with `path`."""
    if not isinstance(raw, dict):
        raise InvalidRules(errors=(FieldError(path, gettext_noop('Must be an object with "type" and "config".')),))
    errors = tuple(islice(chain(_key_errors(raw, path), _type_errors(raw, path)), MAX_ERRORS))
    if errors:
        raise InvalidRules(errors=errors)
    rule_type = RULES[raw["type"]]
    try:
        return rule_type.model_validate(raw["config"])
    except ValidationError as error:
        errors = tuple(_explain(rule_type, path, detail) for detail in details_of(error)[:MAX_ERRORS])
        raise InvalidRules(errors=errors) from None


def find_rule(raw: Any) -> Rule | None:
    """Return a stored rule, or None if it cannot be read. Verify then denies."""
    try:
        return parse_rule(raw)
    except InvalidRules:
        return None


def readable_rules(raw: Any) -> list[Rule]:
    """Return stored rules without those that cannot be read."""
    items = raw if isinstance(raw, list) else []
    return [rule for rule in map(find_rule, items) if rule is not None]


def sentence_of(rule: Rule | None, titles: Titles | None = None, *, names: Titles | None = None) -> str:
    """Return a stored rule in words. None, which cannot be read, denies everything, and its sentence says so."""
    return rule.sentence(titles, names=names) if rule else gettext("This rule is invalid, so it denies everything")


def sentences(raw_rules: Iterable[Any], titles: Titles | None = None) -> list[str]:
    """Return each stored rule in words: for developers or, with `titles`, for users."""
    return [sentence_of(find_rule(raw), titles) for raw in raw_rules]


def _key_errors(raw: dict[str, Any], path: str) -> Iterable[FieldError]:
    for key in RULE_KEYS:
        if key not in raw:
            yield FieldError(f"{path}.{key}", MESSAGES["missing"])
    for key in raw:
        if key not in RULE_KEYS:
            yield FieldError(dotted(path, key), gettext_noop('Unknown field. A rule has only "type" and "config".'))


def _type_errors(raw: dict[str, Any], path: str) -> Iterable[FieldError]:
    name = raw.get("type")
    if "type" in raw and not (isinstance(name, str) and name in RULES):
        known = ", ".join(sorted(RULES))
        message: str = Filled(gettext_noop("Must be a string. Must be one of %(types)s."), types=known)
        if isinstance(name, str):
            text = gettext_noop('Unknown rule type "%(type)s". Must be one of %(types)s.')
            message = did_you_mean(Filled(text, type=echo(name), types=known), nearest(name, RULES))
        yield FieldError(f"{path}.type", message)


def _explain(rule_type: type[Rule], path: str, detail: ErrorDetails) -> FieldError:
    field = dotted(path, "config", *detail["loc"])
    if detail["type"] == "extra_forbidden":
        if len(detail["loc"]) > 1:
            return FieldError(field, gettext_noop("Unknown field. Remove it, or correct its name."))
        known = [field.alias or name for name, field in rule_type.model_fields.items()]
        text = gettext_noop("Unknown field. The fields of %(type)s are %(fields)s.")
        message = Filled(text, type=rule_type.type, fields=", ".join(known))
        return FieldError(field, did_you_mean(message, nearest(str(detail["loc"][0]), known)))
    typed = detail["input"]
    if detail["type"] == "literal_error" and isinstance(typed, str):
        expected = QUOTED.findall(detail["ctx"]["expected"])
        return FieldError(field, did_you_mean(explain(detail), nearest(typed, expected)))
    return FieldError(field, explain(detail))
