"""An example of each event type, which a test makes by doing it (`tests/events/test_examples.py`)."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import orjson

from events.payload import Event

FILE = Path(__file__).with_name("examples.json")


@cache
def examples() -> Mapping[str, Event]:
    """Return an event for each type, as the feed has it. Ids and times are stand-ins."""
    found: Mapping[str, Event] = orjson.loads(FILE.read_bytes())
    return found
