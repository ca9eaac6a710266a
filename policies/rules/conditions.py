"""The conditions of `context_match`: a field of the call, an operator, and what it is compared with."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Annotated, Any, Literal, Self

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from core.local import listed
from core.money import has_other_members
from core.validation import invalid_fields, invalid_value
from core.wording import Filled
from policies.rules.budget import Budget
from policies.rules.fields import MAX_CHARACTERS, MAX_ENTRIES, refuse_long, refuse_many_keys
from policies.rules.globs import WILDCARDS, compile_glob
from policies.rules.readings import Reading, folded, shape_of
from policies.rules.values import MAX_EXACT, MISSING, NOTHING, leaves, read_number, read_text

RESOURCE = "resource"
# What users call the fields that every service means alike.
FIELDS = {
    RESOURCE: gettext_lazy("what it acts on"),
    "recipient": gettext_lazy("the recipient"),
    "amount.value": gettext_lazy("the amount"),
    "amount.currency": gettext_lazy("the currency"),
}
AMOUNT = frozenset({"amount.value", "amount.currency"})
MAX_ELEMENTS = 200
# What comparing costs in units of the call's budget: each of several elements, each of several patterns, and each step
# of a comparison of a text with a pattern, which takes as many as the product of their lengths.
ELEMENT, PATTERN, STEP = 600, 600, 2
PATH = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,7}")

Operator = Literal[
    "equals",
    "not_equals",
    "in",
    "not_in",
    "starts_with",
    "ends_with",
    "glob",
    "matches_any",
    "at_most",
    "at_least",
    "exists",
]
LISTS = frozenset({"in", "not_in", "matches_any"})
PATTERNS = frozenset({"starts_with", "ends_with", "glob"})
BOUNDS = frozenset({"at_most", "at_least"})
NEGATIVE = frozenset({"not_equals", "not_in"})


def _require_path(path: str) -> str:
    if not PATH.fullmatch(path):
        raise invalid_value(
            gettext_noop("Must be resource, or names separated by dots, such as recipient or amount.value.")
        )
    if path.partition(".")[0] == "context":
        raise invalid_value(gettext_noop('Leave out "context.": write amount.value instead of context.amount.value.'))
    return path


def _require_scalar(value: Any) -> Any:
    if type(value) is bool:
        return value
    if type(value) is int:
        return _require_exact(value)
    if type(value) is not str:
        raise invalid_value(
            gettext_noop(
                'Must be a string, a whole number, or true or false. Write a fraction as a string, such as "12.50".'
            )
        )
    if not value:
        raise invalid_value(gettext_noop("Must not be empty."))
    if len(value) > MAX_CHARACTERS:
        raise invalid_value(Filled(gettext_noop("Must be at most %(most)d characters."), most=MAX_CHARACTERS))
    if read_text(value) is None:
        raise invalid_value(
            gettext_noop("Must not start or end with spaces, or contain control or invisible characters.")
        )
    return value


def _require_exact(number: int) -> int:
    if abs(number) > MAX_EXACT:
        text = gettext_noop("Must be from -%(most)d to %(most)d. Write a longer number as a string.")
        raise invalid_value(Filled(text, most=MAX_EXACT))
    return number


def list_of(most: int) -> BeforeValidator:
    """Return a validator for a list. One of more elements is refused before they are looked at."""

    def require_list(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise invalid_value(gettext_noop('Must be a list, such as ["a", "b"].'))
        return tuple(refuse_long(value, most))

    return BeforeValidator(require_list)


SCALAR = {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "boolean"}]}
Scalar = Annotated[Any, BeforeValidator(_require_scalar), WithJsonSchema(SCALAR)]
Scalars = Annotated[
    tuple[Scalar, ...],
    Field(min_length=1, max_length=MAX_ENTRIES),
    list_of(MAX_ENTRIES),
]


def _drop_default(schema: dict[str, Any]) -> None:
    del schema["default"]


# The defaults stand for what is absent. They are not valid in JSON.
OPTIONAL = Field(json_schema_extra=_drop_default)


class Condition(BaseModel):
    """One condition on the call. `in`, `not_in` and `matches_any` have `values`, all other operators `value`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    field: Annotated[
        str,
        Field(
            max_length=MAX_CHARACTERS,
            description="The name of a field of the context, with dots for fields within it, or resource.",
        ),
        AfterValidator(_require_path),
    ]
    operator: Operator
    value: Annotated[Scalar, OPTIONAL] = None
    values: Annotated[Scalars, OPTIONAL] = ()

    @model_validator(mode="before")
    @classmethod
    def require_few_keys(cls, data: Any) -> Any:
        return refuse_many_keys(data)

    @model_validator(mode="after")
    def require_operand(self) -> Self:
        """Raise an error if the operator cannot compare with what is given."""
        if error := next(_operand_errors(self), None):
            raise invalid_fields(type(self), [error])
        return self

    @model_serializer(mode="wrap")
    def without_absent(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if name in self.model_fields_set}

    def problem(self, context: Mapping[str, object], resource: str | None, budget: Budget) -> str | None:
        """Return why the call does not meet the condition, or None. `budget` is spent, and denies if it is empty."""
        readings = self._readings(context, resource, budget)
        if len(readings) > 1 and not budget.spend(ELEMENT * len(readings)):
            return f"{self.field} does not meet {self.operator}."
        for number, reading in enumerate(readings):
            if number == MAX_ELEMENTS:
                return f"{self.field} has more than {MAX_ELEMENTS} elements."
            if problem := self._problem_of(reading, budget):
                return problem
        return None

    def sentence(self, *, is_for_user: bool = False) -> str:
        """Return the condition in words. Users do not know the names of fields and patterns."""
        words = {"field": self.field, "value": self._operand_in_words(is_for_user)}
        if is_for_user:
            words["field"] = str(FIELDS.get(self.field) or _("“%(title)s”") % {"title": self.field})
        return _words()[self._wording] % words

    @cached_property
    def _path(self) -> tuple[str, ...]:
        return tuple(self.field.split("."))

    @cached_property
    def _operand(self) -> Any:
        """The value or values, prepared for comparison."""
        if self.operator in BOUNDS:
            return read_number(self.value)
        if self.operator in PATTERNS or self.operator == "exists":
            return self.value
        if self.operator == "matches_any":
            return self.values
        listed = self.values or (self.value,)
        is_folded = self.operator in NEGATIVE and self._kind is str
        return frozenset(map(folded, listed) if is_folded else listed)

    @cached_property
    def _kind(self) -> type:
        return type(self.values[0] if self.values else self.value)

    @property
    def _wording(self) -> str:
        return "absent" if self.operator == "exists" and self.value is False else self.operator

    def _readings(self, context: Mapping[str, object], resource: str | None, budget: Budget) -> Sequence[Reading]:
        """Return the elements of the field, and one more if there are too many. All rules of the call share them."""
        kept: list[Sequence[Reading]] | None = budget.find(self.field)
        if kept is not None:
            return kept[0]
        readings = [Reading(value) for value in islice(self._leaves(context, resource), MAX_ELEMENTS + 1)]
        if len(readings) > 1:
            budget.spend(ELEMENT * len(readings))
        budget.keep(self.field, readings)
        return readings

    def _leaves(self, context: Mapping[str, object], resource: str | None) -> Iterator[Any]:
        """Return the values of the field. That of an amount that cannot be read is an object, which never compares."""
        if self.field == RESOURCE:
            return leaves(resource, ())
        is_unreadable = self.field in AMOUNT and has_other_members(context.get("amount"))
        return iter(({},)) if is_unreadable else leaves(context, self._path)

    def _problem_of(self, reading: Reading, budget: Budget) -> str | None:
        value = reading.value
        if self.operator == "exists":
            wanted = self.value is not False
            return None if (value is not MISSING) is wanted else f"{self.field} is {'missing' if wanted else 'given'}."
        if value is MISSING:
            return f"{self.field} is missing."
        if value is NOTHING:
            return f"{self.field} is an empty list."
        readable = self._read(reading, budget)
        if readable is None:
            return f"{self.field} cannot be compared."
        return None if self._holds(readable, reading, budget) else f"{self.field} does not meet {self.operator}."

    def _read(self, reading: Reading, budget: Budget) -> Any:
        """Return the call's value in the kind that the condition compares, or None if it cannot be read as such."""
        if self.operator in BOUNDS or self._kind is int:
            return reading.number()
        if self._kind is bool:
            return reading.value if type(reading.value) is bool else None
        return reading.text(budget)

    def _holds(self, value: Any, reading: Reading, budget: Budget) -> bool:
        if self.operator in BOUNDS:
            return bool(value <= self._operand if self.operator == "at_most" else value >= self._operand)
        if self.operator == "matches_any":
            return any(_is_match(value, pattern, reading, budget) for pattern in self._operand)
        if self.operator == "glob":
            return _is_match(value, self._operand, reading, budget)
        if self.operator in PATTERNS:
            is_there = value.startswith if self.operator == "starts_with" else value.endswith
            return is_there(self._operand) and _suits(reading, self._operand, budget)
        if self.operator in NEGATIVE:
            return self._differs(value, reading, budget)
        return value in self._operand

    def _differs(self, value: Any, reading: Reading, budget: Budget) -> bool:
        """Return whether the value is none of those forbidden, which must not pass in another spelling."""
        compared = reading.folded(budget) if type(value) is str else value
        return compared is not None and compared not in self._operand

    def _operand_in_words(self, is_for_user: bool) -> str:
        values = [str(each).lower() if type(each) is bool else str(each) for each in self.values or (self.value,)]
        return listed([_address_in_words(value) if is_for_user else value for value in values], "or")


def _address_in_words(value: str) -> str:
    """Return a pattern for all addresses of a domain in words, and any other value as it is."""
    domain = value.removeprefix("*@")
    is_domain = domain != value and not WILDCARDS.intersection(domain)
    return _("anyone at %(domain)s") % {"domain": domain} if is_domain else value


def is_match(text: str, pattern: str) -> bool:
    """Return whether the text is one item that matches the glob pattern as a whole. Both are operands: short."""
    return compile_glob(pattern).fullmatch(text) is not None and shape_of(text).suits(pattern)


def _is_match(text: str, pattern: str, reading: Reading, budget: Budget) -> bool:
    if not budget.spend(PATTERN + STEP * len(text) * len(pattern)):
        return False
    return compile_glob(pattern).fullmatch(text) is not None and _suits(reading, pattern, budget)


def _suits(reading: Reading, pattern: str, budget: Budget) -> bool:
    shape = reading.shape(budget)
    return shape is not None and shape.suits(pattern)


def _operand_errors(condition: Condition) -> Iterator[tuple[str, str]]:
    """Yield each field that does not suit the operator, with what is wrong."""
    operator, given = condition.operator, condition.model_fields_set
    wanted, other = ("values", "value") if operator in LISTS else ("value", "values")
    if other in given:
        text = gettext_noop("%(operator)s takes %(wanted)s, not %(other)s.")
        yield other, Filled(text, operator=operator, wanted=wanted, other=other)
    elif wanted not in given:
        if operator != "exists":
            yield wanted, Filled(gettext_noop("This field is required for %(operator)s."), operator=operator)
    elif operator in LISTS:
        if len({type(value) for value in condition.values}) > 1:
            yield "values", gettext_noop("Must all be strings, all whole numbers, or all true or false.")
        elif operator == "matches_any" and type(condition.values[0]) is not str:
            yield "values", gettext_noop("Must be strings for matches_any.")
    elif message := _wrong_value(operator, condition.value):
        yield "value", message


def _wrong_value(operator: str, value: Any) -> str | None:
    if operator == "exists" and type(value) is not bool:
        return gettext_noop("Must be true or false.")
    if operator in PATTERNS and type(value) is not str:
        return Filled(gettext_noop("Must be a string for %(operator)s."), operator=operator)
    if operator in BOUNDS and read_number(value) is None:
        return gettext_noop('Must be a whole number, or a decimal number as a string, such as "50.00".')
    return None


def _words() -> dict[str, str]:
    return {
        "equals": _("%(field)s is %(value)s"),
        "not_equals": _("%(field)s is not %(value)s"),
        "in": _("%(field)s is %(value)s"),
        "not_in": _("%(field)s is not %(value)s"),
        "starts_with": _("%(field)s starts with %(value)s"),
        "ends_with": _("%(field)s ends with %(value)s"),
        "glob": _("%(field)s matches %(value)s"),
        "matches_any": _("%(field)s matches %(value)s"),
        "at_most": _("%(field)s is at most %(value)s"),
        "at_least": _("%(field)s is at least %(value)s"),
        "exists": _("%(field)s is given"),
        "absent": _("%(field)s is not given"),
    }
