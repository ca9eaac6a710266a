"""The worker: Celery with beat, after the same checks as the server. `./dev worker` runs this module.

It has two processes. One runs beat and all tasks but one, which sends events and has the other to itself: there,
receivers that hang keep no mail and no sweep waiting. Arguments are those of `celery worker`, for the first process.
With `--queues celery` or `--queues events`, only one of the two runs, for example on a machine of its own.
"""

import sys
from functools import partial
from importlib import import_module
from typing import NoReturn

import django
from celery.bin.celery import main as celery
from django.conf import settings

from core import timeouts
from server.pair import run

CELERY = ("celery", "--quiet", "--app", "agentgate", "worker")
# What both processes need, so that they share it.
MODULES = ("celery.apps.worker", "celery.apps.beat", "celery.concurrency.thread", "celery.worker.consumer")
# Without Redis the queue is a folder, which threads of one process share better than several processes.
WITHOUT_REDIS = ("--pool", "threads", "--concurrency", "4")
# One thread sends events. Beat starts that again and again, and the other thread finds that it is running.
EVENTS = ("--hostname", "events@%h", "--pool", "threads", "--concurrency", "2")
QUEUES = ("--queues", "-Q")


def work(arguments: list[str]) -> None:
    """Check the start, then be the worker, or the parent of its processes."""
    django.setup(set_prefix=False)
    from server.starting import check_start  # imports models, so Django must be set up

    check_start()
    commands = commands_for(arguments, has_redis=bool(settings.REDIS_URL))
    if len(commands) == 1:
        run_celery(commands[0])
    for module in MODULES:
        import_module(module)
    run([partial(run_celery, command) for command in commands])


def run_celery(command: list[str]) -> NoReturn:
    """Do what the command does, in this process."""
    timeouts.use(timeouts.WORKER)
    sys.argv = command
    sys.exit(celery())


def commands_for(arguments: list[str], *, has_redis: bool) -> list[list[str]]:
    """Return the commands of the processes that these arguments ask for."""
    queue = _queue(arguments)
    main = [*CELERY, "--beat", *(() if has_redis else WITHOUT_REDIS), *([] if queue else ["--queues", "celery"])]
    events = [*CELERY, *EVENTS, *([] if queue else ["--queues", "events"])]
    if queue == "events":
        return [[*events, *arguments]]
    return [[*main, *arguments]] if queue else [[*main, *arguments], events]


def _queue(arguments: list[str]) -> str:
    """Return the value of `--queues`, or an empty string."""
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in QUEUES:
            return value if equals else "".join(arguments[place + 1 : place + 2])
    return ""


if __name__ == "__main__":
    work(sys.argv[1:])
