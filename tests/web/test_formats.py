"""Times on pages: short to read, and exact to the second on hover and for screen readers."""

from datetime import UTC, datetime, timedelta

from core import formats
from tests.shared import cases

AT = datetime(2026, 11, 26, 14, 3, 22, tzinfo=UTC)


@cases("shown", [formats.ago, formats.clock_time])
def test_calls_within_a_minute_can_be_told_apart(shown):
    html = shown(AT)
    assert html.count("Nov 26, 2026, 2:03:22") == 2, "in the title and for screen readers"
    assert '<span class="visually-hidden"> (Nov 26, 2026, 2:03:22' in html
    assert html != shown(AT + timedelta(seconds=1))


def test_a_day_has_the_exact_time_on_hover():
    assert 'title="Nov 26, 2026, 2:03:22' in formats.day(AT)


def test_a_moment_reads_to_the_minute():
    html = formats.moment(AT)
    assert ">Nov 26, 2026, 2:03\N{NARROW NO-BREAK SPACE}PM UTC<" in html
    assert 'title="2026-11-26 14:03:22 UTC"' in html


@cases(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (90, "90 seconds"),
        (3600, "60 minutes"),
        (10_231, "3 hours"),
        (118_800, "33 hours"),
        (172_801, "3 days"),
    ],
)
def test_a_duration_is_never_rounded_down(seconds, words):
    assert formats.duration(seconds) == words
