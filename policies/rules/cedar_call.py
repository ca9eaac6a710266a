"""A call as Cedar sees it (docs/policies.md). A call that Cedar, or anything else here, cannot read is denied."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from core.chains import Link
from core.money import has_other_members
from policies.rules.base import RuleContext
from policies.rules.cedar_text import Sizes

# Cedar reads the context again for each action. These bounds are for all of them together.
MAX_VALUES, MAX_BYTES = 500, 32 * 1024
MAX_INTEGER = 2**63 - 1


class Unrepresentable(Exception):
    """Cedar cannot represent the call, or it is too large. The message says what, without values of the call."""


# What a text and a call take at most, in nanoseconds. The factors are at least those of the slowest that could be
# constructed (docs/adr/0034).
BASE = 100_000
BYTE, TOKEN = 20, 300
VALUE, PART = 2_500, 3_000
# For each token and value: sets of copies of the context are sorted.
TOKEN_TIMES_VALUE = 15
TOKENS_TIMES_BYTES = 10
# For each character of a pattern and of a text.
LIKE = 3


class CallSizes(NamedTuple):
    """The size of a call's context: its values, their names, lists and records, its bytes, and its longest text."""

    values: int
    parts: int
    size: int
    longest: int


def cost_of(text: Sizes, call: CallSizes) -> int:
    """Return the cost of one evaluation, without `BASE`."""
    reading = call.values * VALUE + call.parts * PART + call.size * BYTE
    comparing = text.tokens * (call.values * TOKEN_TIMES_VALUE + call.size // TOKENS_TIMES_BYTES)
    matching = text.patterns * max(call.longest, text.longest) * LIKE
    return reading + text.tokens * TOKEN + comparing + matching


def requests_of(ctx: RuleContext, actions: Sequence[str]) -> tuple[list[dict[str, Any]], CallSizes]:
    """Return one Cedar request per action, and the size of each. Raises `Unrepresentable`."""
    if has_other_members(ctx.context.get("amount")):
        raise Unrepresentable("The amount has a member besides value and currency.")
    counter = _Counter(MAX_VALUES // len(actions))
    request = counter.convert(ctx.context)
    encoded = orjson.dumps({**_facts(ctx), "request": request})
    if len(encoded) * len(actions) > MAX_BYTES:
        raise Unrepresentable("The context is too large for this number of scopes.")
    longest = max(counter.longest, len(ctx.resource or ""), *map(len, ctx.asked))
    values = MAX_VALUES // len(actions) - counter.left + len(ctx.scopes) + 2 * len(ctx.chain)
    sizes = CallSizes(values, counter.parts, len(encoded), longest)
    return [_request(ctx, action, encoded) for action in actions], sizes


def _request(ctx: RuleContext, action: str, encoded: bytes) -> dict[str, Any]:
    own = orjson.dumps({"action": action})
    return {
        "principal": {"type": "Agent", "id": ctx.agent_id},
        "action": {"type": "Action", "id": action},
        "resource": {"type": "Resource", "id": ctx.resource or ""},
        "context": f"{own[:-1].decode()},{encoded[1:].decode()}",
    }


def _facts(ctx: RuleContext) -> dict[str, Any]:
    """Return the attributes of Cedar's context, without those that the call does not have."""
    facts = {
        "scopes": list(ctx.scopes),
        "resource": ctx.resource,
        "userId": ctx.user_id,
        "organizationId": ctx.organization_id,
        "chain": _chain(ctx.chain) if ctx.chain else None,
        "ip": _extension("ip", ctx.ip) if ctx.ip else None,
        "now": _extension("datetime", _spell(ctx.now)),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _chain(links: Sequence[Link]) -> dict[str, Any]:
    """Return the agents of the chain and their organizations, which are sets in Cedar, and the number of hand-overs."""
    organizations = {link.organization_id for link in links if link.organization_id is not None}
    return {
        "agents": [link.agent_id for link in links],
        "organizations": sorted(organizations),
        "depth": len(links) - 1,
    }


def _spell(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _extension(function: str, argument: str) -> dict[str, Any]:
    return {"__extn": {"fn": function, "arg": argument}}


class _Counter:
    """Converts values and counts them. `parts` are names, lists and records; `longest` is of the longest text."""

    def __init__(self, most: int) -> None:
        self.left = most
        self.parts = self.longest = 0

    def convert(self, value: object) -> Any:
        """Return the value as Cedar's JSON has it. Raises `Unrepresentable`."""
        self.left -= 1
        if self.left < 0:
            raise Unrepresentable("The context has too many values.")
        if isinstance(value, str):
            self.longest = max(self.longest, len(value))
            return value
        if isinstance(value, bool):
            return value
        if isinstance(value, Mapping | list | tuple):
            self.parts += 1
        if isinstance(value, Mapping):
            return {self._name(name): self.convert(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.convert(each) for each in value]
        return _whole(value)

    def _name(self, name: object) -> str:
        self.parts += 1
        # Cedar's JSON reads {"__entity": ...} and {"__extn": ...} as something else than a record.
        if not isinstance(name, str) or name.startswith("__"):
            raise Unrepresentable("A name in the context starts with two underscores.")
        return name


def _whole(value: object) -> int:
    if isinstance(value, float) and value.is_integer():  # JSON spells 1000 also as 1e3
        value = int(value)
    if not isinstance(value, int) or abs(value) > MAX_INTEGER:
        raise Unrepresentable("The context has null, a fraction or a number that is too large.")
    return value
