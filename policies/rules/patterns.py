"""Patterns of actions: a name, or a beginning and `*`."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from policies.rules.base import Listed, RuleContext, Text


def _require_final_star(pattern: str) -> str:
    # Taken literally, a star elsewhere would match nothing: in a blocklist that lets everything through.
    if "*" in pattern[:-1]:
        raise PydanticCustomError("star_inside", "Put * at the end only, as in payments:*.")
    return pattern


Patterns = Annotated[
    Listed[Annotated[Text, AfterValidator(_require_final_star)]],
    Field(title="Actions", description="Scopes such as email:send. payments:* matches all that begin with payments:"),
]


def matches_any(patterns: tuple[str, ...], action: str) -> bool:
    """Return whether `action` is listed. Case counts; `payments:*` is whatever starts with `payments:`."""
    return any(action.startswith(pattern[:-1]) if pattern.endswith("*") else action == pattern for pattern in patterns)


def asked_actions(ctx: RuleContext) -> tuple[str, ...]:
    """Return all that the call wants to do: its required scopes, and its action if it names one."""
    return ctx.scopes if ctx.action is None else (*ctx.scopes, ctx.action)
