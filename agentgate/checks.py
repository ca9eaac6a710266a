"""System checks for settings that would make the server unsafe. An error stops its start.

`agentgate/environment.py` checks single variables earlier.
"""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import OperationalError, connection

from accounts import console_mail
from limits.throttle import parse_rate

THROTTLES = (
    "THROTTLE_REGISTRATION",
    "THROTTLE_SIGN_IN",
    "THROTTLE_CLIENT_AUTH",
    "THROTTLE_INITIATE",
    "THROTTLE_DELEGATE",
    "THROTTLE_VERIFY",
)


@register(Tags.security)
def check_exposure(**kwargs: Any) -> list[CheckMessage]:
    """Check for settings acceptable in development but unsafe in production."""
    return list(_exposure())


@register(Tags.security)
def check_proxies(**kwargs: Any) -> list[CheckMessage]:
    if all(network.prefixlen for network in settings.TRUSTED_PROXIES):
        return []
    message = "TRUSTED_PROXIES contains every address, so any caller can forge its own."
    return [Error(message, hint="List only the networks of your proxies.", id="agentgate.E003")]


@register(Tags.security)
def check_throttles(**kwargs: Any) -> list[CheckMessage]:
    return [problem for name in THROTTLES if (problem := _problem_with_rate(name))]


@register(Tags.compatibility)
def check_sqlite(**kwargs: Any) -> list[CheckMessage]:
    """Check that SQLite makes commits durable, and locks for writing when a transaction starts."""
    database = settings.DATABASES["default"]
    if not database["ENGINE"].endswith("sqlite3"):
        return []
    options = database.get("OPTIONS", {})
    if options.get("transaction_mode") == "IMMEDIATE" and "synchronous=FULL" in options.get("init_command", ""):
        return []
    message = "SQLite must run with transaction_mode IMMEDIATE and synchronous=FULL."
    return [Error(message, hint="See `sqlite()` in agentgate/databases.py.", id="agentgate.E005")]


@register(Tags.security, deploy=True)
def check_owner(**kwargs: Any) -> list[CheckMessage]:
    """Warn if the application could change the log, because its PostgreSQL role has the rights of the tables' owner."""
    if connection.vendor != "postgresql" or not _is_owner("audit_entry"):
        return []
    message = "The application's database role owns the tables of the log, so it could change them."
    hint = "Give it a role of its own: ./dev manage audit_roles prints the SQL (docs/operations.md)."
    return [checks.Warning(message, hint=hint, id="audit.W001")]


def _is_owner(table: str) -> bool:
    """Return whether this connection has the rights of the table's owner. False if the database does not answer."""
    query = "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass(%s)"
    try:
        with connection.cursor() as cursor:
            cursor.execute(query, [table])
            return cursor.fetchone() == (True,)
    except OperationalError:
        return False


def _exposure() -> Iterator[CheckMessage]:
    if settings.DEBUG and settings.IS_HTTPS:
        yield Error(
            "DEBUG is on with an https API_URL: error pages would show secrets.",
            hint="Unset DEBUG.",
            id="agentgate.E001",
        )
    if "*" in settings.ALLOWED_HOSTS and settings.IS_HTTPS:
        yield Error(
            "ALLOWED_HOSTS is '*', so the server accepts any host name that a caller invents.",
            hint="List the host names of this server.",
            id="agentgate.E002",
        )
    if settings.REQUIRE_VERIFIED_EMAIL and settings.MAILERS["default"]["BACKEND"] == console_mail.BACKEND:
        yield checks.Warning(
            "Registration needs a mailed code, but mails are written to the log, where users cannot read them.",
            hint="Set EMAIL_HOST or REQUIRE_VERIFIED_EMAIL=false.",
            id="agentgate.W002",
        )


def _problem_with_rate(name: str) -> CheckMessage | None:
    try:
        parse_rate(getattr(settings, name))
    except ValueError as error:
        return Error(f"{name}: {error}", id="agentgate.E004")
    return None
