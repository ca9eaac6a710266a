"""The two databases: SQLite with no server to install, PostgreSQL in production."""

from typing import Any

from psycopg.conninfo import conninfo_to_dict

from agentgate.environment import ENVIRONMENT, stop


def sqlite() -> dict[str, Any]:
    """WAL for readers beside the writer; FULL, so that what was answered survives a power cut."""
    path = ENVIRONMENT.path("DATABASE_PATH", "var/agentgate.db")
    path.parent.mkdir(parents=True, exist_ok=True)
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }


def postgresql(url: str) -> dict[str, Any]:
    """Any libpq URL; what is not the address goes to the driver as it is."""
    if not url.startswith(("postgres://", "postgresql://")):
        stop("DATABASE_URL must be a postgresql:// URL; for SQLite set DATABASE_PATH instead")
    parts = conninfo_to_dict(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.pop("dbname", ""),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": parts,
    }
