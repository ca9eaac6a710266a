"""The expressions of the Grafana dashboard and of the alerts in docs/operations/."""

import json
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "operations"
# Prometheus has it for every target.
OF_PROMETHEUS = {"up"}


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads((FOLDER / "grafana.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> list[str]:
    return [
        *(target["expr"] for panel in panels() for target in panel["targets"]),
        *(rule["expr"] for rule in rules()),
    ]
