"""What ends again and again is started again, but not too often."""

from agentgate.keeper import LONG_RESTART_SECONDS, MAX_QUICK_ENDS, RESTART_SECONDS, STABLE_SECONDS, Restarts


def test_the_first_ends_are_followed_by_a_start_at_once() -> None:
    restarts = Restarts()
    assert [restarts.pause_after(0.0) for _ in range(MAX_QUICK_ENDS)] == MAX_QUICK_ENDS * [RESTART_SECONDS]


def test_more_quick_ends_are_followed_by_a_pause() -> None:
    restarts = Restarts()
    pauses = [restarts.pause_after(0.0) for _ in range(MAX_QUICK_ENDS + 2)]
    assert pauses[MAX_QUICK_ENDS:] == 2 * [LONG_RESTART_SECONDS]


def test_a_long_run_lets_earlier_ends_be_forgotten() -> None:
    restarts = Restarts()
    for _ in range(MAX_QUICK_ENDS + 1):
        restarts.pause_after(0.0)
    assert restarts.pause_after(STABLE_SECONDS + 1) == RESTART_SECONDS
