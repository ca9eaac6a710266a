"""Action patterns: a name, or a prefix followed by `*`."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from policies.rules.base import Listed, RuleContext, Text


def _require_final_star(pattern: str) -> str:
    # A star elsewhere would be literal and match nothing, so a blocklist with it would block nothing.
    if "*" in pattern[:-1]:
        raise PydanticCustomError("star_inside", "Use * only at the end, as in payments:*.")
    return pattern


Patterns = Annotated[
    Listed[Annotated[Text, AfterValidator(_require_final_star)]],
    Field(
        title="Actions",
        description="Scopes such as email:send, or patterns such as payments:*.",
    ),
]


def matches_any(patterns: tuple[str, ...], action: str) -> bool:
    """Return whether a pattern matches `action`, case-sensitively. `payments:*` matches that prefix."""
    return any(action.startswith(pattern[:-1]) if pattern.endswith("*") else action == pattern for pattern in patterns)


def asked_actions(ctx: RuleContext) -> tuple[str, ...]:
    """Return what the request asks for: its required scopes, and its action if it has one."""
    return ctx.scopes if ctx.action is None else (*ctx.scopes, ctx.action)
