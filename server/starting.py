"""What the server and the worker check before they start.

A problem ends the process with one line on standard error that says what is wrong and what to do.
"""

import logging
import sys
from pathlib import Path
from typing import NoReturn

from django.conf import settings
from django.core.checks import run_checks
from django.db import OperationalError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from core import clock
from tokens.keys import opens_no_stored_key

logger = logging.getLogger(__name__)
MIGRATE = "run ./dev manage migrate"


def check_start(*, reads_keys: bool = True) -> None:
    """End the process unless settings are safe and the database is migrated. Call it after `django.setup`."""
    _check_file()
    _check_settings()
    try:
        _check_migrations()
        if reads_keys:
            _check_keys()
    except OperationalError as error:
        # Start anyway: every request is refused until the database answers.
        logger.warning("The database does not answer: %s", str(error).partition("\n")[0])
    connections.close_all()  # the server forks, and forks cannot share a connection


def _check_file() -> None:
    """Run this before the system checks, which open the database and would create the SQLite file."""
    path = settings.DATABASES["default"]["NAME"]
    if connection.vendor == "sqlite" and not Path(path).exists():
        _stop(f"there is no database at {path}; {MIGRATE}")


def _check_settings() -> None:
    faults = [fault for fault in run_checks() if fault.is_serious()]
    if faults:
        _stop("\nagentgate: ".join(f"{fault.msg} {fault.hint or ''} ({fault.id})" for fault in faults))


def _check_migrations() -> None:
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        migrations = "1 migration" if len(pending) == 1 else f"{len(pending)} migrations"
        _stop(f"the database lacks {migrations}; {MIGRATE}")


def _check_keys() -> None:
    if opens_no_stored_key(clock.now()):
        logger.error(
            "The stored signing keys do not open with this JWT_SECRET. If it was changed by mistake, set the former "
            "value and restart. Otherwise a new key signs from now on, and other values sealed with the former "
            "secret are lost."
        )


def _stop(message: str) -> NoReturn:
    """End the process with one line on standard error."""
    sys.exit(f"agentgate: {message}")
