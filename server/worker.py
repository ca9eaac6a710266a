"""The worker: Celery with beat, after the same checks as the server. `./dev worker` runs this module.

Arguments are those of `celery worker`.
"""

import os
import sys

import django
from django.conf import settings

# Without Redis the queue is a folder, which threads of one process share better than several processes.
WITHOUT_REDIS = ("--pool", "threads", "--concurrency", "4")


def work(arguments: list[str]) -> None:
    """Check the start, then replace this process with a Celery worker."""
    django.setup(set_prefix=False)
    from server.starting import check_start  # imports models, so Django must be set up

    check_start()
    options = ["--beat", *(() if settings.REDIS_URL else WITHOUT_REDIS), *arguments]
    os.execv(sys.executable, [sys.executable, "-m", "celery", "--quiet", "--app", "agentgate", "worker", *options])  # noqa: S606


if __name__ == "__main__":
    work(sys.argv[1:])
