"""A signal stops the sequencer."""

import signal
import threading
from collections.abc import Iterator

import pytest

from server.sequencer import set_on_signals
from tests.shared import cases

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


@cases("number", SIGNALS)
def test_a_signal_stops_it_while_it_begins_to_wait(number: signal.Signals) -> None:
    stopped = threading.Event()
    set_on_signals(stopped)
    with stopped._cond:  # type: ignore[attr-defined]  # as `wait` does
        signal.raise_signal(number)
    assert stopped.wait(5)
