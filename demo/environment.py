"""Secrets, folders and addresses of the demo. This runs before Django's settings are read."""

import os
import secrets
import socket
import sys
from pathlib import Path

from django.conf import settings

from server.listening import problem_with_address

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(os.environ.get("DEMO_FOLDER") or ROOT / "var" / "demo")
# The demo must never use the servers that the developer's shell configures.
FOREIGN = ("DATABASE_URL", "DATABASE_URL_FILE", "REDIS_URL", "REDIS_URL_FILE")


def prepare() -> None:
    """Set the environment variables for settings and child processes. Exit with one line if the port is taken."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in FOREIGN:
        os.environ.pop(name, None)
    for name in ("JWT_SECRET", "SECRET_KEY"):
        if not os.environ.get(f"{name}_FILE"):
            os.environ.setdefault(name, stored_secret(name))
    database = os.environ.setdefault("DATABASE_PATH", str(FOLDER / "agentgate.db"))
    (ROOT / database).parent.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    os.environ["DJANGO_SETTINGS_MODULE"] = "agentgate.settings"
    problem = problem_with_address("127.0.0.1", settings.API_PORT)
    if problem:
        sys.exit(f"demo: {problem}")


def stored_secret(name: str) -> str:
    """Return the secret of this name, created on the first start and stored for later ones."""
    path = FOLDER / name.lower()
    if not path.exists():
        write_private(path, secrets.token_hex(32))
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
