"""The actor of a request."""

from core.actor import Actor


def test_the_state_of_the_account_is_not_shown() -> None:
    actor = Actor("developer", "dev_1", "203.0.113.7", "tests/1.0", "req_1", account_state="digest")

    assert repr(actor) == (
        "Actor(kind='developer', id='dev_1', ip='203.0.113.7', user_agent='tests/1.0', request_id='req_1')"
    )
