"""A row of small bars without a scale, one per time step. The highest bar is as high as the row."""

from collections.abc import Sequence
from dataclasses import dataclass

BAR, HEIGHT = 4, 24
# The heights of the highest bar, which leaves room for the line below it, and of the lowest.
HIGHEST, LOWEST = 21, 2


@dataclass(frozen=True, slots=True)
class Sparkline:
    """`path` has a vertical line per number that is not zero, oldest first, in a box of `width` by `height`."""

    numbers: Sequence[int]

    @property
    def total(self) -> int:
        return sum(self.numbers)

    @property
    def most(self) -> int:
        """The highest number."""
        return max(self.numbers, default=0)

    @property
    def width(self) -> int:
        return BAR * len(self.numbers)

    @property
    def height(self) -> int:
        return HEIGHT

    @property
    def path(self) -> str:
        bars = ((place, number) for place, number in enumerate(self.numbers) if number)
        return "".join(f"M{BAR * place + BAR // 2} {HEIGHT - 1}v-{self._length(number)}" for place, number in bars)

    def _length(self, number: int) -> int:
        """Return the height of a bar. Even one decision among thousands stays visible."""
        return max(LOWEST, round(HIGHEST * number / self.most))
