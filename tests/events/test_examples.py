"""Each event type has an example in events/examples.json that is made by doing it.

`EXAMPLES=events/examples.json ./dev test tests/events/test_examples.py` writes them again.
"""

import json
import os
import re
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from audit.proof import exports
from audit.readers.reading import AuditEntry, read_entry
from audit.sequencing.sequencer import sequence
from events.examples import examples
from events.payload import events_of
from events.types import TYPES
from tests.constants import NOON
from tests.doors.conftest import Scene, make_scene
from tests.events.occurrences import BY_HAND, KNOCKS, occur
from tests.log import log_entries
from tests.shared import rolled_back

pytestmark = pytest.mark.django_db
ID = re.compile(r"\b([a-z]+_)?([0-9a-f]{32,64})\b")
# Of each example in its stream, so that another type changes no other example.
NUMBER = 42
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


def test_each_type_has_an_example_that_occurs_like_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "pause", lambda seconds: sequence())
    scene = make_scene()

    fresh = {one: _example(one, scene) for one in TYPES}

    if path := os.environ.get("EXAMPLES"):
        Path(path).write_text(json.dumps(fresh, indent=1, ensure_ascii=False) + "\n")
        examples.cache_clear()
    assert fresh == examples()


def test_events_of_other_types_are_in_no_organizations_log() -> None:
    scene = make_scene()
    for one in {*KNOCKS, *BY_HAND} - {*TYPES}:
        with rolled_back():
            assert not _occurred(one, scene).organization_ids, one


def _example(event_type: str, scene: Scene) -> Any:
    with rolled_back():
        entry, own = _occurred(event_type, scene), scene.ids["organization"]
        organization_id = next((one for one in entry.organization_ids if one == own), entry.organization_ids[0])
        (event,) = events_of([(entry, NUMBER)], organization_id)
    return _with_stand_ins(event)


def _occurred(event_type: str, scene: Scene) -> AuditEntry:
    occur(event_type, scene)
    entry = log_entries(event=event_type).first()
    assert entry, f"Say in tests/events/occurrences.py how {event_type} occurs."
    return read_entry(entry)


def _with_stand_ins(event: Any) -> Any:
    """Return the event with ids by the order in which it names them, and times by their distance from its own."""
    seen: defaultdict[str, list[str]] = defaultdict(list)
    began = datetime.fromisoformat(event["timestamp"])

    def stand_in(found: re.Match[str]) -> str:
        prefix, digits = found[1] or "", found[2]
        if digits not in seen[prefix]:
            seen[prefix].append(digits)
        return f"{prefix}01a2{seen[prefix].index(digits) + 1:0{len(digits) - 4}x}"

    def moment(found: re.Match[str]) -> str:
        minutes = round((datetime.fromisoformat(found[0]) - began) / timedelta(minutes=1))
        at = NOON + timedelta(minutes=minutes)
        return f"{at:%Y-%m-%dT%H:%M:%S}.000000{found[2]}"

    return json.loads(MOMENT.sub(moment, ID.sub(stand_in, json.dumps(event))))
