"""Run work that has no deadline of its own, such as a DNS lookup, in a separate thread and wait for a bounded time."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import BoundedSemaphore, Thread


def run_in_slot[T](work: Callable[[], T], *, slots: BoundedSemaphore, seconds: float, busy: Exception) -> T:
    """Return the result of `work`, or raise its error. Raises `busy` if all slots are taken, and `TimeoutError`.

    The thread keeps its slot until the work ends, which can be after the timeout.
    """
    if not slots.acquire(blocking=False):
        raise busy
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)
        finally:
            slots.release()

    Thread(target=run, name="slot", daemon=True).start()
    return outcome.result(timeout=seconds)
