"""`compose.yaml` and the `Dockerfile`, checked without running them.

`tests/live/test_containers.py` runs their commands.
"""

import re
from pathlib import PurePath

from django.conf import settings

from server import forking, supervisor
from tests.containers import COMPOSE, ENVIRONMENT, LABELS, ROOT, seconds
from tests.shared import cases
from web.public.docs.pages import files

SERVICES = COMPOSE["services"]
OURS = ("web", "worker", "migrate")
LONG_RUNNING = tuple(name for name in SERVICES if name != "migrate")


@cases("name", OURS)
def test_only_data_and_tmp_are_writable(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp:mode=1777,size=64m"]
    assert service["volumes"] == ["anchors:/data"]


@cases("path", ["DATABASE_PATH", "AUDIT_ANCHOR_DIR", "AUDIT_ARCHIVE_DIR", "HEARTBEAT_PATH"])
def test_the_image_writes_only_to_data_and_tmp(path: str) -> None:
    assert ENVIRONMENT[path].startswith(("/data/", "/tmp/"))


@cases("name", OURS)
def test_every_container_runs_an_init_process(name: str) -> None:
    assert SERVICES[name]["init"] is True


def test_a_container_may_finish_its_last_requests_before_it_is_killed() -> None:
    slowest_stop = supervisor.KILL_SECONDS + forking.SEQUENCER_STOP_SECONDS
    assert seconds(SERVICES["web"]["stop_grace_period"]) > slowest_stop
    assert seconds(SERVICES["worker"]["stop_grace_period"]) >= 30
    assert seconds(SERVICES["postgres"]["stop_grace_period"]) >= 30


@cases("name", SERVICES)
def test_logs_rotate_and_memory_is_limited(name: str) -> None:
    options = SERVICES[name]["logging"]["options"]

    assert {"max-size", "max-file"} == set(options)
    assert SERVICES[name]["mem_limit"]


@cases("name", LONG_RUNNING)
def test_every_long_running_service_has_a_health_check(name: str) -> None:
    inherited = name == "web"

    assert inherited or SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_the_health_check_of_postgresql_ignores_its_first_start() -> None:
    """During the first start, the image runs a temporary server that listens only on a socket."""
    command = SERVICES["postgres"]["healthcheck"]["test"]

    assert command[command.index("--host") + 1] == "127.0.0.1"


def test_services_wait_for_those_they_depend_on() -> None:
    for name in ("web", "worker"):
        assert SERVICES[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert SERVICES["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"


def test_the_gateway_of_the_network_is_a_trusted_proxy() -> None:
    (addresses,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    trusted = SERVICES["web"]["environment"]["TRUSTED_PROXIES"]

    assert trusted == f"${{TRUSTED_PROXIES:-{addresses['gateway']}}}"
    assert SERVICES["web"]["ports"] == ["127.0.0.1:8000:8000"]


@cases("name", OURS)
def test_every_documented_variable_can_be_set_for_the_containers(name: str) -> None:
    """They come from .env. A variable that compose sets takes its value from .env, or is a secret."""
    service = SERVICES[name]
    decided = service["environment"]

    assert service["env_file"] == [{"path": ".env", "required": False}]
    for variable in documented():
        if variable in decided and variable != "REDIS_URL":
            assert decided[variable].startswith(f"${{{variable}:-"), variable
        if f"{variable}_FILE" in decided:
            assert decided[f"{variable}_FILE"].removeprefix("/run/secrets/") in service["secrets"]
    assert {variable.removesuffix("_FILE") for variable in decided} <= documented()


def test_the_image_sets_only_documented_variables() -> None:
    ours = {name for name in ENVIRONMENT if not name.startswith(("PYTHON", "PIP_"))}

    assert ours - documented() <= {"AUDIT_ANCHOR_DIR"}


def test_the_image_has_labels() -> None:
    assert {"title", "description", "licenses", "version", "revision"} <= set(LABELS)
    assert LABELS["version"] == settings.VERSION
    assert LABELS["revision"] == "${REVISION}"


def documented() -> set[str]:
    """Return the variables in docs/configuration.md."""
    cells = re.findall(r"^\| (`[A-Z][^|]*) \|", (ROOT / "docs/configuration.md").read_text(), re.M)
    return {name for cell in cells for name in re.findall(r"`([A-Z_]+)`", cell)}


def test_the_image_contains_every_app_and_the_file_with_the_version() -> None:
    kept = set((ROOT / ".dockerignore").read_text().splitlines())
    folders = {app.partition(".")[0] for app in settings.INSTALLED_APPS}
    names = {folder for folder in folders if (ROOT / folder).is_dir()} | {"pyproject.toml"}
    assert "resources" in names
    assert {f"!{name}" for name in names} <= kept


def test_the_image_contains_every_page_of_the_documentation() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    names = [str(file.relative_to(ROOT)) for file in files().values()]
    assert len(names) > 50
    assert [name for name in names if not any(_matches(name, pattern) for pattern in kept)] == []


def _matches(name: str, pattern: str) -> bool:
    return PurePath(name).match(pattern) and name.count("/") == pattern.count("/")
