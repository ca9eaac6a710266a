"""The worker: Celery with beat, after the same checks as the server. `./dev worker` runs this module.

Arguments are those of `celery worker`.
"""

import os
import sys

import django
from django.conf import settings

# The queue without Redis is a folder: threads of one process share it better than several processes.
WITHOUT_REDIS = ("--pool", "threads", "--concurrency", "4")


def work(arguments: list[str]) -> None:
    """Become a Celery worker. A problem ends the start instead."""
    django.setup(set_prefix=False)
    from agentgate.starting import check_start  # its models need what came before

    check_start()
    options = ["--beat", "--loglevel", "INFO", *(() if settings.REDIS_URL else WITHOUT_REDIS), *arguments]
    os.execv(sys.executable, [sys.executable, "-m", "celery", "--app", "agentgate", "worker", *options])  # noqa: S606


if __name__ == "__main__":
    work(sys.argv[1:])
