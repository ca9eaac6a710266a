"""What is found out once per head."""

import pytest

from core.messages import NotDirect, Request, once_per_head

HEAD = Request("POST", "/", "", {"a": "1"}, b"", "192.0.2.1")


class Counting:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, request: Request) -> str | None:
        self.calls += 1
        if request.headers["a"] == "refused":
            raise NotDirect
        return request.headers["a"] or None


def test_it_is_found_once_per_memo() -> None:
    first, second = Counting(), Counting()
    known, other = once_per_head(lambda request: first(request)), once_per_head(lambda request: second(request))
    request = HEAD._replace(memo={}, headers={"a": ""})

    assert [known(request), known(request._replace(body=b"2")), other(request)] == [None, None, None]
    assert (first.calls, second.calls) == (1, 1)
    assert known(HEAD._replace(memo={}, headers={"a": "2"})) == "2"


def test_it_is_found_each_time_without_a_memo_or_if_it_fails() -> None:
    find = Counting()
    known = once_per_head(lambda request: find(request))

    assert [known(HEAD), known(HEAD)] == ["1", "1"]
    assert find.calls == 2
    refused = HEAD._replace(memo={}, headers={"a": "refused"})
    for _ in range(2):
        with pytest.raises(NotDirect):
            known(refused)
    assert find.calls == 4
