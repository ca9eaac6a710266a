"""Settings of the two databases: SQLite, which needs no server, and PostgreSQL for production."""

from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from agentgate.environment import ENVIRONMENT, stop
from core import timeouts

# For Django and for decisions, unless the URL has others.
PATIENCE = {
    "connect_timeout": timeouts.CONNECT_SECONDS,
    "keepalives_idle": timeouts.KEEPALIVE_IDLE_SECONDS,
    "keepalives_interval": timeouts.KEEPALIVE_INTERVAL_SECONDS,
    "keepalives_count": timeouts.KEEPALIVE_COUNT,
    "tcp_user_timeout": 1000 * timeouts.TCP_USER_SECONDS,
}


def sqlite_path() -> Path:
    return ENVIRONMENT.path("DATABASE_PATH", "var/agentgate.db")


def create_sqlite_folder() -> None:
    """Create the folder of the SQLite file, unless PostgreSQL is used. Django creates the file, but not its folder."""
    if not ENVIRONMENT.text("DATABASE_URL"):
        sqlite_path().parent.mkdir(parents=True, exist_ok=True)


def role_database(url: str, variable: str) -> dict[str, Any] | None:
    """Return the settings for the URL of a role of its own (docs/operations.md), or None if there is none."""
    if not url:
        return None
    if not ENVIRONMENT.text("DATABASE_URL"):
        stop(f"{variable} needs DATABASE_URL; SQLite has no roles")
    return postgresql(url, variable)


def sqlite() -> dict[str, Any]:
    """Return the settings for SQLite. WAL lets reads run during a write; FULL makes commits survive a power failure."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": sqlite_path(),
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; "
            # Deleted personal data is overwritten (core/sqlite.py).
            "PRAGMA secure_delete=ON;",
        },
    }


def postgresql(url: str, variable: str = "DATABASE_URL") -> dict[str, Any]:
    """Return the settings for any libpq URL. Its options are passed to the driver unchanged."""
    if not url.startswith(("postgres://", "postgresql://")):
        stop(f"{variable} must be a postgresql:// URL; for SQLite set DATABASE_PATH instead")
    parts = conninfo_to_dict(url)
    return {
        "ENGINE": "core.postgresql",
        "NAME": parts.pop("dbname", ""),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**PATIENCE, **parts},
    }
