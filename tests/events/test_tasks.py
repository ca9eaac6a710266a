"""The start of the task that sends events, in the process that does so."""

from dataclasses import dataclass
from typing import Any

import pytest
from celery import Celery

from events import tasks


@dataclass(frozen=True, eq=False)
class Process:
    """What Celery's signals name as their sender."""

    app: Celery


def test_the_process_of_its_queue_starts_sending_without_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[dict[str, Any]] = []
    monkeypatch.setattr(tasks.deliver, "apply_async", lambda **options: started.append(options))
    for queue, number in (("celery", 0), ("events", 1)):
        app = Celery(set_as_current=False)
        app.amqp.queues.select([queue])
        tasks.worker_ready.send(sender=Process(app))
        assert len(started) == number
