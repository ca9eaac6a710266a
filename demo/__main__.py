"""`./dev demo`: set up and start everything, print where to look, and stop everything on Ctrl-C."""

import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

from django.conf import settings

from demo.environment import FOLDER, free_port, prepare
from demo.processes import PYTHON, WORKER, Processes, wait_until_healthy

if TYPE_CHECKING:
    from demo.people import People

say = partial(print, flush=True)

WELCOME = """
AgentGate is running at {url}

  Sign in at {url}/accounts/login/ as
    user           {user:<20} {user_password:<16} {url}/connections
    developer      {developer:<20} {developer_password:<16} {url}/developer/
    administrator  {administrator:<20} {administrator_password:<16} {url}/admin/

  Documentation: {url}/docs          Logs: {logs}      Press Ctrl-C to stop everything.
"""


def main() -> None:
    """Run until interrupted. If anything fails, stop everything that was started."""
    prepare()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with SIGINT ignored
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit(0))
    processes = Processes()
    try:
        run(processes)
    except RuntimeError as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        say("\ndemo: stopping")
    finally:
        processes.stop()


def run(processes: Processes) -> None:
    people = set_up()
    url = settings.API_URL
    say("demo: starting")
    server = processes.start(PYTHON, "-m", "server.main", log="server")
    processes.start(*WORKER, log="worker")
    wait_until_healthy(f"http://127.0.0.1:{settings.API_PORT}", server)
    print_welcome(people, url)
    start_service_and_agent(processes, people, url)
    if server.wait():
        raise RuntimeError(f"The server stopped. See {os.path.relpath(FOLDER)}/server.log")


def set_up() -> "People":
    """Migrate the database, create users and a history if it has none, and count the history for the analytics."""
    import django
    from django.core.management import call_command

    django.setup()
    say("demo: preparing the database")
    call_command("migrate", verbosity=0, skip_checks=True)

    from audit.sequencing.sequencer import sequence
    from demo.history import make_history
    from insights.services import count_log

    people = make_history()
    sequence()
    count_log()
    return people


def print_welcome(people: "People", url: str) -> None:
    from demo.people import ADMINISTRATOR, DEVELOPER, USER

    emails = {"user": USER, "developer": DEVELOPER, "administrator": ADMINISTRATOR}
    passwords = {f"{role}_password": people.passwords[email] for role, email in emails.items()}
    say(WELCOME.format(url=url, logs=f"{os.path.relpath(FOLDER)}/*.log", **emails, **passwords))


def start_service_and_agent(processes: Processes, people: "People", url: str) -> None:
    """Start the demo's service and agent, which use AgentGate's public HTTP API."""
    port = str(free_port())
    processes.start(
        *(PYTHON, "-m", "demo.service"),
        AGENTGATE_URL=url,
        SERVICE_PORT=port,
        SERVICE_ID=people.service_id,
        SERVICE_SECRET=people.service_secret,
    )
    processes.start(
        *(PYTHON, "-m", "demo.agent"),
        AGENTGATE_URL=url,
        SERVICE_URL=f"http://127.0.0.1:{port}",
        CLIENT_ID=people.client_id,
        CLIENT_SECRET=people.client_secret,
    )


if __name__ == "__main__":
    main()
