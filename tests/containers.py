"""The services, variables, labels and health checks of `compose.yaml` and the `Dockerfile`."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
LABELS = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', DOCKERFILE))


def _environment() -> dict[str, str]:
    lines = re.findall(r"^ENV (.*)$", DOCKERFILE, re.M)
    return dict(pair.split("=", 1) for line in lines for pair in line.split())


ENVIRONMENT = _environment()


def health_check(service: str) -> list[str]:
    """Return the health check command of the service: from `compose.yaml`, otherwise from the image."""
    own = COMPOSE["services"][service].get("healthcheck")
    if own:
        return list(own["test"][1:])
    found = re.search(r"^HEALTHCHECK .*?CMD (\[.*\])$", DOCKERFILE, re.M)
    assert found
    return list(json.loads(found[1]))


def seconds(duration: str) -> int:
    """Return a duration of `compose.yaml`, such as `1m30s`, in seconds."""
    found = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", duration)
    assert found, duration
    return int(found[1] or 0) * 60 + int(found[2] or 0)
