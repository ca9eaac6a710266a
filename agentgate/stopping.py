"""How the keeper and the sequencer learn that they must stop."""

import signal
import threading


def set_on_signals(stopped: threading.Event) -> None:
    """Set the event when SIGTERM or SIGINT arrives.

    A handler runs in the main thread. If that is just about to wait for the event, it holds the event's lock, so only
    another thread can set it.
    """
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: threading.Thread(target=stopped.set, daemon=True).start())
