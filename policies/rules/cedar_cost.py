"""How long Cedar may take for a text and a call, in nanoseconds.

The factors are at least those of the slowest texts and calls that could be constructed (docs/adr/0034).
"""

from typing import NamedTuple

from policies.rules.cedar_text import Sizes

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
