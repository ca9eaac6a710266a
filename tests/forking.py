"""The process that forks our programs for `tests/preloaded.py`.

It reads no settings, so each program reads its own environment, as if Python had been started for it.
"""

import ctypes
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
from importlib import import_module
from pathlib import Path

from setproctitle import getproctitle

ROOT = Path(__file__).resolve().parent.parent
# These import nearly all that the server needs, and work without settings.
PACKAGES = (
    *("allauth.core.ratelimit", "babel", "celery.fixups.django", "celery.loaders.app", "celery.schedules"),
    *("django.contrib.admindocs.views", "django.contrib.sessions.middleware", "django.core.handlers.asgi"),
    *("django.core.management", "django.db.backends.postgresql.base", "django.db.backends.sqlite3.base"),
    *("django.db.migrations", "django.middleware.locale", "django.middleware.security", "django.test", "dns.resolver"),
    *("drf_spectacular.checks", "fido2.server", "httptools", "httpx", "jwt", "markdown_it"),
    *(
        "oauth2_provider.validators",
        "oauthlib.openid",
        "pydantic.functional_serializers",
        "pydantic.types",
        "qrcode",
        "redis",
    ),
    *("rest_framework.serializers", "rfc8785", "tomllib", "ua_parser"),
    *("uvicorn", "whitenoise.storage"),
)
REQUEST_BYTES = 200_000


def import_packages() -> None:
    for package in PACKAGES:
        import_module(package)
    getproctitle()  # it finds its memory while the variables are where the process began with them
    keep_memory()


def keep_memory() -> None:
    """Let the garbage collector of forked processes leave alone what there is."""
    gc.collect()
    gc.freeze()


def take_requests(requests: socket.socket) -> list[str]:
    """Fork for each request until the tests end. Return, in each forked process, the arguments of its program."""
    children: dict[int, tuple[int, socket.socket]] = {}
    while True:
        ready, _, _ = select.select([requests.fileno(), *children], [], [])
        for handle in children.keys() & set(ready):
            pid, reply = children.pop(handle)
            report(pid, reply)
            os.close(handle)
        if requests.fileno() not in ready:
            continue
        request, files, _, _ = socket.recv_fds(requests, REQUEST_BYTES, 3)
        if not request:
            sys.exit()
        pid = os.fork()
        if not pid:
            close(requests, children)
            arguments, environment = json.loads(request)
            become(environment, files)
            return list(arguments)
        reply = socket.socket(fileno=files[0])
        reply.send(str(pid).encode())
        for file in files[1:]:
            os.close(file)
        children[os.pidfd_open(pid)] = (pid, reply)


def report(pid: int, reply: socket.socket) -> None:
    """Tell the tests the exit status of a program that has ended."""
    _, status = os.waitpid(pid, 0)
    with reply:
        try:
            reply.send(str(os.waitstatus_to_exitcode(status)).encode())
        except OSError:  # the test no longer wants to know
            return


def close(requests: socket.socket, children: dict[int, tuple[int, socket.socket]]) -> None:
    """Close what belongs to the parent."""
    requests.close()
    for handle, (_, reply) in children.items():
        os.close(handle)
        reply.close()


def become(environment: dict[str, str], files: list[int]) -> None:
    """Take over the environment and the output, and end with the parent (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)
    os.close(files[0])
    for number, file in enumerate(files[1:], 1):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()


def run(arguments: list[str]) -> None:
    """Run a module or a file with its arguments, as Python does."""
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    import_packages()
    run(take_requests(socket.socket(fileno=int(sys.argv[1]))))
