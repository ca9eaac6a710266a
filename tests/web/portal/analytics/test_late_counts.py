"""The page of the analytics says if its counts are older than they should be."""

from datetime import timedelta

import time_machine

from audit.sequencing.sequencer import sequence
from core import clock
from insights.models import Edition
from insights.services import count_log
from tests.audit.journals import write_row
from tests.web.markup import text_of

PATH = "/developer/analytics"


def test_the_page_says_if_counting_is_late(as_developer, agent):
    write_row(1, organization_id=agent.organization_id)
    sequence()
    assert not Edition.objects.exists()
    assert "Counting is late" not in text_of(as_developer, PATH)  # the first run counts it
    count_log()
    assert "Counting is late" not in text_of(as_developer, PATH)
    write_row(1, organization_id=agent.organization_id)
    sequence()
    assert "Counting is late" not in text_of(as_developer, PATH)  # the next run counts it
    Edition.objects.update(last_at=clock.now() - timedelta(minutes=11))
    assert "Counting is late" not in text_of(as_developer, PATH)  # the log was quiet before
    with time_machine.travel(clock.now() + timedelta(minutes=11)):
        assert "Counting is late" in text_of(as_developer, PATH)


def test_the_first_count_can_be_late_too(as_developer, agent):
    write_row(1, organization_id=agent.organization_id)
    sequence()
    with time_machine.travel(clock.now() + timedelta(minutes=11)):
        assert "Counting is late" in text_of(as_developer, PATH)
