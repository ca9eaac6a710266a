"""What `compose.yaml` and the `Dockerfile` promise, as far as files can show it.

`tests/live/test_containers.py` runs their commands.
"""

import re

import pytest
from django.conf import settings

from agentgate.server import SHUTDOWN_SECONDS
from tests.containers import COMPOSE, ENVIRONMENT, LABELS, ROOT, seconds

SERVICES = COMPOSE["services"]
OURS = ("web", "worker", "migrate")
LASTING = tuple(name for name in SERVICES if name != "migrate")


@pytest.mark.parametrize("name", OURS)
def test_only_data_and_tmp_can_be_written_and_tmp_by_every_user(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp:mode=1777,size=64m"]
    assert service["volumes"] == ["anchors:/data"]


@pytest.mark.parametrize("path", ["DATABASE_PATH", "AUDIT_ANCHOR_DIR", "HEARTBEAT_PATH"])
def test_the_image_writes_nowhere_else(path: str) -> None:
    assert ENVIRONMENT[path].startswith(("/data/", "/tmp/"))


@pytest.mark.parametrize("name", OURS)
def test_an_init_reaps_and_passes_signals_on(name: str) -> None:
    assert SERVICES[name]["init"] is True


def test_a_container_is_not_killed_before_its_last_requests_are_answered() -> None:
    assert seconds(SERVICES["web"]["stop_grace_period"]) > SHUTDOWN_SECONDS
    assert seconds(SERVICES["worker"]["stop_grace_period"]) >= 30
    assert seconds(SERVICES["postgres"]["stop_grace_period"]) >= 30


@pytest.mark.parametrize("name", SERVICES)
def test_logs_rotate_and_memory_is_limited(name: str) -> None:
    options = SERVICES[name]["logging"]["options"]

    assert {"max-size", "max-file"} == set(options)
    assert SERVICES[name]["mem_limit"]


@pytest.mark.parametrize("name", LASTING)
def test_every_lasting_service_has_a_health_check(name: str) -> None:
    inherited = name == "web"

    assert inherited or SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_postgresql_is_asked_where_its_first_start_does_not_answer() -> None:
    """The temporary server of the image's first start listens on the socket only."""
    command = SERVICES["postgres"]["healthcheck"]["test"]

    assert command[command.index("--host") + 1] == "127.0.0.1"


def test_nothing_starts_before_what_it_needs_is_healthy() -> None:
    for name in ("web", "worker"):
        assert SERVICES[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert SERVICES["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"


def test_the_gateway_is_trusted_from_where_a_proxy_on_this_machine_comes() -> None:
    (addresses,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    trusted = SERVICES["web"]["environment"]["TRUSTED_PROXIES"]

    assert trusted == f"${{TRUSTED_PROXIES:-{addresses['gateway']}}}"
    assert SERVICES["web"]["ports"] == ["127.0.0.1:8000:8000"]


@pytest.mark.parametrize("name", OURS)
def test_every_documented_variable_can_reach_the_containers(name: str) -> None:
    """They come from .env. A variable that compose sets itself takes its value from there, or is a secret."""
    service = SERVICES[name]
    decided = service["environment"]

    assert service["env_file"] == [{"path": ".env", "required": False}]
    for variable in documented():
        if variable in decided and variable != "REDIS_URL":
            assert decided[variable].startswith(f"${{{variable}:-"), variable
        if f"{variable}_FILE" in decided:
            assert decided[f"{variable}_FILE"].removeprefix("/run/secrets/") in service["secrets"]
    assert {variable.removesuffix("_FILE") for variable in decided} <= documented()


def test_the_image_sets_documented_variables() -> None:
    ours = {name for name in ENVIRONMENT if not name.startswith(("PYTHON", "PIP_"))}

    assert ours - documented() <= {"AUDIT_ANCHOR_DIR"}


def test_the_image_says_what_it_is() -> None:
    assert {"title", "description", "licenses", "version", "revision"} <= set(LABELS)
    assert LABELS["version"] == settings.VERSION
    assert LABELS["revision"] == "${REVISION}"


def documented() -> set[str]:
    """Return the variables of docs/configuration.md."""
    cells = re.findall(r"^\| (`[A-Z][^|]*) \|", (ROOT / "docs/configuration.md").read_text(), re.M)
    return {name for cell in cells for name in re.findall(r"`([A-Z_]+)`", cell)}


def test_the_image_contains_every_app_and_the_file_with_the_version() -> None:
    kept = set((ROOT / ".dockerignore").read_text().splitlines())
    folders = {app.partition(".")[0] for app in settings.INSTALLED_APPS}
    names = {folder for folder in folders if (ROOT / folder).is_dir()} | {"pyproject.toml"}
    assert "resources" in names
    assert {f"!{name}" for name in names} <= kept
