"""Each request of exchange and refresh has a code or a refresh token of its own, and it works."""

from typing import Any

import pytest
from django.test import Client

from benchmarks import rows
from benchmarks.issuing import CONNECTIONS, loads


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["exchange", "refresh"])
def test_each_code_and_each_chain_is_sent_once_and_works(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "PEOPLE", 2 * CONNECTIONS)
    found = list(loads(rows.seed(1, codes=2 * CONNECTIONS, chains=2 * CONNECTIONS), CONNECTIONS)[name])

    sent = [request for load in found for request in load.requests]
    answer: Any = Client().post(*sent[-1], content_type="application/json", headers=found[-1].headers)

    assert [len(load.requests) for load in found] == [CONNECTIONS, CONNECTIONS]
    assert len(set(sent)) == len(sent)
    assert answer.status_code == 200, answer.content
    assert answer.json()["refreshToken"]
