"""Starting with this or that environment, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentgate.environment import BASE_DIR

SECRET = "4e6d8b0a2c9f71354e6d8b0a2c9f7135"
SHOW = "from django.conf import settings as s; print(*(repr(getattr(s, name)) for name in {names!r}))"


def run(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=BASE_DIR,
        env={**kept, "DATABASE_PATH": str(tmp_path / "start.db"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def settings_of(tmp_path: Path, *names: str, **environment: str) -> str:
    """Return the settings as they come out, with a good secret."""
    done = run(
        tmp_path,
        *("-c", SHOW.format(names=names)),
        JWT_SECRET=SECRET,
        DJANGO_SETTINGS_MODULE="agentgate.settings",
        **environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({}, "JWT_SECRET is not set"),
        ({"JWT_SECRET": "short"}, "JWT_SECRET is too short"),
        ({"JWT_SECRET": SECRET, "JWT_ISSUER": "agentgate"}, "JWT_ISSUER must be"),
        ({"JWT_SECRET": SECRET, "DATABASE_URL": "mysql://x"}, "DATABASE_URL must be a postgresql:// URL"),
        ({"JWT_SECRET": SECRET, "DEBUG": "1", "API_URL": "https://gate.example.com"}, "DEBUG is on"),
        ({"JWT_SECRET": SECRET, "THROTTLE_SIGN_IN": "many"}, "THROTTLE_SIGN_IN"),
        ({"JWT_SECRET": SECRET, "TRUSTED_PROXIES": "0.0.0.0/0"}, "TRUSTED_PROXIES"),
    ],
)
def test_the_server_does_not_start(environment: dict[str, str], says: str, tmp_path: Path) -> None:
    done = run(tmp_path, "-m", "agentgate.server", **environment)

    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr


def test_http_on_loopback_asks_for_no_https(tmp_path: Path) -> None:
    names = ("SESSION_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS", "SESSION_COOKIE_NAME")

    assert settings_of(tmp_path, *names) == "False False 0 'sessionid'"


def test_https_switches_on_what_protects_it(tmp_path: Path) -> None:
    names = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SESSION_COOKIE_NAME")
    shown = settings_of(tmp_path, *names, API_URL="https://gate.example.com")

    assert shown == "True True True '__Host-sessionid'"


def test_only_the_public_host_and_loopback_are_served(tmp_path: Path) -> None:
    shown = settings_of(tmp_path, "ALLOWED_HOSTS", API_URL="https://gate.example.com")

    assert shown == "['gate.example.com', 'localhost', '127.0.0.1', '[::1]']"


def test_postgresql_wins_over_sqlite_and_its_options_reach_the_driver(tmp_path: Path) -> None:
    url = "postgresql://gate:s%40fe@db.example:5433/gate?sslmode=verify-full"
    shown = settings_of(tmp_path, "DATABASES", DATABASE_URL=url)

    for part in ("postgresql", "'HOST': 'db.example'", "'PORT': '5433'", "'PASSWORD': 's@fe'", "'verify-full'"):
        assert part in shown


def test_the_deployment_check_finds_nothing(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        *("manage.py", "check", "--deploy", "--fail-level", "WARNING"),
        JWT_SECRET=SECRET * 2,
        API_URL="https://gate.example.com",
        EMAIL_HOST="mail.example.com",
    )

    assert done.returncode == 0, done.stderr
