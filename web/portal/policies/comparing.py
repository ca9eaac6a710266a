"""Two versions of a policy compared line by line, in bounded time."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import Match, SequenceMatcher
from itertools import accumulate, takewhile
from typing import Any

from web.user.approvals.diffs import ADDED, REMOVED, SAME, Block, visible_text

CONTEXT = 2
# `SequenceMatcher` takes cubic time if lines are repeated, and no other thread of the process computes meanwhile. This
# many steps take about 45 ms. With 20 rules, a diff takes about 3,000 if one of them has changed, and 30,000 to 60,000
# if all have.
MAX_STEPS = 600_000


class OutOfSteps(Exception):
    """A comparison needs more steps than are left."""


class Effort:
    """How many steps the comparisons of one page may still take."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.steps = steps

    def spend(self, steps: int) -> None:
        """Raises `OutOfSteps` if fewer are left, and then takes none."""
        if steps > self.steps:
            raise OutOfSteps
        self.steps -= steps


@dataclass(frozen=True, slots=True)
class Difference:
    """What was added and removed. If `is_rough`, some lines that stayed are among the removed and the added ones."""

    blocks: Sequence[Block] = ()
    is_rough: bool = False


class BoundedMatcher(SequenceMatcher[str]):
    """Finds the lines that stayed: all, or those at both ends if finding all takes too many steps."""

    def __init__(self, old: Sequence[str], new: Sequence[str], effort: Effort) -> None:
        super().__init__(None, old, new, autojunk=False)
        self.is_rough = False
        self._old, self._new, self._effort = old, new, effort
        # A search looks at each place where `new` has one of the old lines, even outside its range.
        places = Counter(new)
        self._steps = [0, *accumulate(1 + places[line] for line in old)]

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        self._effort.spend(self._steps[-1 if ahi is None else ahi] - self._steps[alo])
        return super().find_longest_match(alo, ahi, blo, bhi)

    def get_matching_blocks(self) -> list[Match]:
        try:
            return super().get_matching_blocks()
        except OutOfSteps:
            self.is_rough = True
            self.matching_blocks = _ends(self._old, self._new)
            return self.matching_blocks


def difference(
    old: Sequence[str], new: Sequence[str], context: int = CONTEXT, effort: Effort | None = None
) -> Difference:
    """Return what was added and removed, with so many unchanged lines around it. Each line has its sign."""
    matcher = BoundedMatcher(old, new, effort or Effort())
    blocks = [block for group in matcher.get_grouped_opcodes(context) for block in _blocks(group, old, new)]
    return Difference(blocks, matcher.is_rough)


def _ends(old: Sequence[str], new: Sequence[str]) -> list[Match]:
    """Return the common beginning and the common end as `SequenceMatcher` does, with an empty match as the last."""
    start = _count_same(old, new)
    end = min(_count_same(old[::-1], new[::-1]), len(old) - start, len(new) - start)
    last = Match(len(old), len(new), 0)
    return [Match(0, 0, start), Match(len(old) - end, len(new) - end, end), last]


def _count_same(old: Sequence[str], new: Sequence[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))


def _blocks(group: Sequence[Any], old: Sequence[str], new: Sequence[str]) -> Iterator[Block]:
    for tag, old_start, old_end, new_start, new_end in group:
        if tag == "equal":
            yield from _block(SAME, "  ", old[old_start:old_end])
            continue
        yield from _block(REMOVED, "- ", old[old_start:old_end])
        yield from _block(ADDED, "+ ", new[new_start:new_end])


def _block(kind: str, sign: str, lines: Sequence[str]) -> Iterator[Block]:
    if lines:
        whole = "".join(lines)
        is_plain = whole.isascii() and whole.isprintable()
        yield Block(kind, "\n".join(sign + line for line in (lines if is_plain else map(visible_text, lines))))
