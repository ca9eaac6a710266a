"""Memory for the frames of a test, in one piece.

CPython keeps the frames of a thread in pieces of 16 KB. It maps another piece when a call does not fit, and unmaps it
when that call returns. A loop whose calls begin at the end of a piece does so each time: this took a third of the time
of the tests. A frame that is larger than a piece gets a larger one, rounded up to a power of two, and the calls from
it use the rest.
"""

from collections.abc import Callable


def in_one_piece[**P, R](call: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Call the function with room for the frames of all calls in it."""
    return call(*arguments, **named)


# In pointers: 480 KB, so that 544 KB of the piece are left.
in_one_piece.__code__ = in_one_piece.__code__.replace(co_stacksize=60_000)
