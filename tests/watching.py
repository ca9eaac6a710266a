"""The expressions of the Grafana dashboard and of the alerts in docs/operations/."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "operations"


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


def metrics_in(text: str) -> set[str]:
    """Return our metrics that a valid expression names."""
    return set(re.findall(r"\bagentgate_\w+", text))


def labels_in(text: str) -> set[str]:
    """Return the labels that a valid expression names: those that it compares, and those of each `by`."""
    return set(re.findall(r'(\w+)(?:=~|!~|!=|=)"', text)) | grouping_in(text)


def grouping_in(text: str) -> set[str]:
    return {label for labels in re.findall(r"\bby \(([\w, ]+)\)", text) for label in labels.split(", ")}
