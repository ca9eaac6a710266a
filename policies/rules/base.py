"""What a rule is, and the registry of rule types.

To add a type, copy a module of this package: a class with its configuration as fields, a `check`, a
`sentence`, and `@register("its_name", title="Its title")`. Nothing else needs to change: the portal's form, the
OpenAPI document and docs/policies.md are generated from the fields, with their `title` and `description`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from limits.sliding_window import CounterRequest
from policies.rules.ledger import Ledger

MAX_ENTRIES = 200
MAX_CHARACTERS = 200


class RuleContext(NamedTuple):
    """The facts of one request. `now` is aware UTC; `scopes` are the required scopes.

    `ip` is the caller's address, already resolved, or None if it is unknown. `user_id` is None if
    no user is behind the request.
    """

    now: datetime
    agent_id: str
    scopes: tuple[str, ...] = ()
    action: str | None = None
    resource: str | None = None
    ip: str | None = None
    context: Mapping[str, object] = MappingProxyType({})
    user_id: str | None = None
    organization_id: str | None = None


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a rule denies. `retry_after_seconds` is None if waiting does not help."""

    detail: str
    retry_after_seconds: int | None = None


class Rule(BaseModel, ABC):
    """One rule with its validated, immutable configuration. Fields are camelCase in JSON."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", alias_generator=to_camel, serialize_by_alias=True
    )

    type: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def check(self, ctx: RuleContext) -> Denial | None:
        """Return why `ctx` is denied, or None. An exception denies too."""

    def counters(self, ledger: Ledger, ctx: RuleContext) -> tuple[CounterRequest, ...]:
        """Return the limits that the request must also pass, to be counted with the decision."""
        return ()

    @abstractmethod
    def sentence(self) -> str:
        """Return the rule in words, in the reader's language, without a final period."""


RULES: dict[str, type[Rule]] = {}


class DuplicateRuleTypeError(Exception):
    """Two rule types have the same name."""


def register[R: Rule](name: str, *, title: str) -> Callable[[type[R]], type[R]]:
    """Return a class decorator that registers a rule type as `name`. Raises `DuplicateRuleTypeError`.

    `title` is the name of this type in the portal.
    """

    def add(rule: type[R]) -> type[R]:
        if name in RULES:
            raise DuplicateRuleTypeError(f"{name}: {RULES[name].__module__} and {rule.__module__}")
        rule.type = name
        rule.title = title
        RULES[name] = rule
        return rule

    return add


def _require_plain(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        raise PydanticCustomError("plain_text", "Must not start or end with spaces, or contain control characters.")
    return text


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


# Text that is safe to store and to display: no control characters, no lone surrogates.
Text = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS), AfterValidator(_require_plain)]

# A duration. `x-unit` tells the portal which input to show; a field without one gets a plain input.
Seconds = Annotated[int, Field(json_schema_extra={"x-unit": "seconds"})]

# A plain alias, not a `type` statement: pydantic would make a reference of one in the JSON schema.
T = TypeVar("T")
Listed = Annotated[tuple[T, ...], Field(max_length=MAX_ENTRIES), BeforeValidator(_as_tuple)]
