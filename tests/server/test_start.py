"""Starting processes in different environments. `tests/live/test_start.py` starts them with a database."""

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from agentgate.environment import BASE_DIR
from tests import preloaded, production
from tests.servers import free_port

SECRET = "4e6d8b0a2c9f71354e6d8b0a2c9f7135"


def run(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return preloaded.run(arguments, _environment(tmp_path, environment))


def run_program(tmp_path: Path, text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program with Django."""
    file = tmp_path / "program.py"
    file.write_text(f"import django; django.setup(); {text}")
    return run(tmp_path, str(file), **environment)


def run_anew(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python itself, for what depends on what was imported before."""
    command, variables = [production.python(), *arguments], _environment(tmp_path, environment)
    return subprocess.run(command, cwd=BASE_DIR, env=variables, capture_output=True, text=True, check=False)


def _environment(tmp_path: Path, environment: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return {**kept, "DATABASE_PATH": str(tmp_path / "start.db"), **environment}


def settings_of(tmp_path: Path, *names: str, **environment: str) -> str:
    """Return the settings that result from the environment, with a strong secret."""
    done = run(
        tmp_path,
        *("-m", "tests.server.shown", *names),
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
        ({"JWT_SECRET": SECRET, "DATABASE_URL": "mysql://x"}, "DATABASE_URL must be a postgresql:// URL"),
        ({"JWT_SECRET": SECRET, "HOST": "192.0.2.1"}, "change HOST or API_PORT"),
        ({"JWT_SECRET": SECRET, "DEBUG": "1", "API_URL": "https://gate.example.com"}, "DEBUG is on"),
        (
            {"JWT_SECRET": SECRET, "AUDIT_SEQUENCER_DATABASE_URL": "postgresql://x"},
            "AUDIT_SEQUENCER_DATABASE_URL needs DATABASE_URL",
        ),
        (
            {"JWT_SECRET": SECRET, "AUDIT_ARCHIVER_DATABASE_URL": "postgresql://x"},
            "AUDIT_ARCHIVER_DATABASE_URL needs DATABASE_URL",
        ),
        (
            {
                "JWT_SECRET": SECRET,
                "DATABASE_URL": "postgresql://x",
                "AUDIT_SEQUENCER_DATABASE_URL": "postgre://x",
            },
            "AUDIT_SEQUENCER_DATABASE_URL must be a postgresql:// URL",
        ),
    ],
)
def test_the_server_does_not_start(environment: dict[str, str], says: str, tmp_path: Path) -> None:
    """`tests/agentgate/` has the other invalid settings, without a process."""
    (tmp_path / "start.db").touch()
    done = run(tmp_path, "-m", "server.main", **{"API_PORT": str(free_port()), **environment})

    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert SECRET not in done.stderr


@pytest.mark.parametrize("process", ["main", "worker"])
def test_nothing_starts_without_a_database(process: str, tmp_path: Path) -> None:
    done = run(tmp_path, "-m", f"server.{process}", JWT_SECRET=SECRET, API_PORT=str(free_port()))

    assert done.returncode == 1
    assert "there is no database at" in done.stderr
    assert done.stderr.endswith("run ./dev manage migrate\n")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_in_use_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run(tmp_path, "-m", "server.main", JWT_SECRET=SECRET, API_PORT=str(port))

    assert done.returncode == 1
    assert done.stderr.startswith(f"agentgate: port {port} is in use; ")
    assert len(done.stderr.splitlines()) == 1


def test_importing_the_settings_changes_nothing(tmp_path: Path) -> None:
    """They create no folders and do not read `sys.argv`."""
    program = "import sys; del sys.argv; import agentgate.settings"
    folders = {name: str(tmp_path / name.lower() / "x") for name in ("DATABASE_PATH", "STATIC_ROOT")}
    done = run_anew(tmp_path, "-c", program, JWT_SECRET=SECRET, **folders)

    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_commands_create_the_folders_that_they_need(tmp_path: Path) -> None:
    folders = {name: str(tmp_path / name.lower() / "x") for name in ("DATABASE_PATH", "STATIC_ROOT")}
    settings = {"JWT_SECRET": SECRET, "DJANGO_SETTINGS_MODULE": "agentgate.settings", **folders}
    ask = "from consent.tasks import sweep_consents; sweep_consents.delay()"

    assert run(tmp_path, "manage.py", "check", **settings).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["database_path"]
    assert run_program(tmp_path, ask, **settings).returncode == 0
    assert {path.name for path in (tmp_path / "database_path" / "x.queue").iterdir()} == {
        "queue",
        "processed",
        "control",
    }


def test_static_files_have_digests_once_they_are_collected(tmp_path: Path) -> None:
    ask = "from django.templatetags.static import static; print(static('css/base.css'))"
    settings = {"JWT_SECRET": SECRET, "DJANGO_SETTINGS_MODULE": "agentgate.settings"}
    settings["STATIC_ROOT"] = str(tmp_path / "static")

    assert run_program(tmp_path, ask, **settings).stdout == "/static/css/base.css\n"
    assert run(tmp_path, "manage.py", "collectstatic", "--no-input", **settings).returncode == 0
    assert re.fullmatch(r"/static/css/base\.[0-9a-f]{12}\.css\n", run_program(tmp_path, ask, **settings).stdout)


def test_http_on_loopback_does_not_require_https(tmp_path: Path) -> None:
    names = ("SESSION_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS", "SESSION_COOKIE_NAME")

    assert settings_of(tmp_path, *names) == "False False 0 'sessionid'"


def test_the_url_and_the_issuer_have_the_port_on_which_the_server_listens(tmp_path: Path) -> None:
    names = ("API_URL", "JWT_ISSUER", "API_PORT")

    assert settings_of(tmp_path, *names, API_PORT="8150") == (
        "'http://localhost:8150' 'http://localhost:8150/oauth' '8150'"
    )
    assert settings_of(tmp_path, "API_PORT", API_URL="http://localhost:8150") == "'8150'"


def test_an_https_url_turns_on_secure_cookies_and_redirects(tmp_path: Path) -> None:
    names = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SESSION_COOKIE_NAME")
    shown = settings_of(tmp_path, *names, API_URL="https://gate.example.com")

    assert shown == "True True True '__Host-sessionid'"


def test_only_the_public_host_and_loopback_are_served(tmp_path: Path) -> None:
    shown = settings_of(tmp_path, "ALLOWED_HOSTS", API_URL="https://gate.example.com")

    assert shown == "['gate.example.com', 'localhost', '127.0.0.1', '[::1]']"


def test_database_url_takes_precedence_and_its_options_reach_the_driver(tmp_path: Path) -> None:
    url = "postgresql://gate:s%40fe@db.example:5433/gate?sslmode=verify-full"
    shown = settings_of(tmp_path, "DATABASES", DATABASE_URL=url)

    for part in ("postgresql", "'HOST': 'db.example'", "'PORT': '5433'", "'PASSWORD': 's@fe'", "'verify-full'"):
        assert part in shown


def test_the_deployment_check_passes(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        *("manage.py", "check", "--deploy", "--fail-level", "WARNING"),
        JWT_SECRET=SECRET * 2,
        API_URL="https://gate.example.com",
        EMAIL_HOST="mail.example.com",
    )

    assert done.returncode == 0, done.stderr
