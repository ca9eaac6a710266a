"""After an erasure, neither a dump nor the files of the database name the person."""

from typing import Any

import pytest

from audit.sequencing import sequencer
from server.old_rows import purge_old_rows
from tests.api.conftest import Api, Json
from tests.api.erased_life import EMAIL, THROTTLES, TRACES, administrate, erase, make_life, traces
from tests.dumps import files, readable_dump

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def life(settings: Any, mailoutbox: list[Any], developer: Api, agent: Json) -> Json:
    for name, rate in THROTTLES.items():
        setattr(settings, name, rate)
    return make_life(developer, agent, mailoutbox)


@pytest.mark.parametrize("is_logged", [True, False], ids=["from the log", "from the journal"])
def test_nothing_that_can_be_read_names_the_person_afterwards(life: Json, is_logged: bool) -> None:
    administrate(life)
    if is_logged:
        sequencer.sequence()
    before = readable_dump()
    assert [trace for trace in TRACES if trace.encode() not in before] == []

    assert erase(life)
    sequencer.sequence()

    assert traces() == []


@pytest.mark.alone
def test_no_file_of_the_database_names_the_person_once_old_rows_are_purged(life: Json) -> None:
    administrate(life)
    sequencer.sequence()
    assert EMAIL.encode() in files()

    assert erase(life)
    sequencer.sequence()
    assert purge_old_rows() == []

    found = files()
    assert [trace for trace in TRACES if trace.encode() in found] == []
