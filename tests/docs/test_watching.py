"""The dashboard, the alerts and the list of metrics name only what a server publishes, and all of it.

tests/live/test_metrics.py compares them with a running server.
"""

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.test import Client
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from core import metrics
from tests.live.server import ROOT
from tests.programs import find_program
from tests.shared import cases
from tests.watching import expressions, grouping_in, labels_in, metrics_in, panels, rules

PAGE = (ROOT / "docs/operations.md").read_text()
# Prometheus adds these to every series.
OF_TARGETS = {"job", "instance"}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def definitions() -> Iterator[Any]:
    return (
        each for each in vars(metrics).values() if hasattr(each, "_labelnames") and each._name.startswith("agentgate")
    )


@pytest.fixture
def published(db: None, settings: Any, tmp_path: Any) -> dict[str, set[str]]:
    """Return the names of all samples that a server can publish, with their labels."""
    found = {}
    for each in definitions():
        labels = set(each._labelnames) | ({"le"} if each._type == "histogram" else set())
        found |= {f"{each._name}{suffix}": labels for suffix in SUFFIXES[each._type]}
    settings.BACKUP_DIR = tmp_path
    (tmp_path / "dump").touch()
    from tokens.keys import current_key

    current_key()
    scraped = Client().get("/metrics", headers={"Host": "localhost"}).content.decode()
    for family in text_string_to_metric_families(scraped):
        for sample in family.samples:
            if sample.name.startswith("agentgate") and family.type != "histogram":
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_expression_is_valid(tmp_path: Any) -> None:
    promtool = find_program("prometheus", "promtool")
    texts = [text.replace("$__rate_interval", "5m") for text in expressions()]
    recorded = [{"record": f"expression:{number}", "expr": text} for number, text in enumerate(texts)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": recorded}]}))
    for checked in (file, ROOT / "docs/operations/alerts.yaml"):
        done = subprocess.run([promtool, "check", "rules", checked], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_expression_names_metrics_and_labels_that_exist(published: dict[str, set[str]]) -> None:
    for text in expressions():
        metrics = metrics_in(text)
        assert metrics <= published.keys(), text
        assert labels_in(text) <= OF_TARGETS.union(*(published[metric] for metric in metrics)), text


def test_every_metric_is_on_the_dashboard(published: dict[str, set[str]]) -> None:
    named = set().union(*(metrics_in(target["expr"]) for panel in panels() for target in panel["targets"]))
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in published if not name.endswith("_created")}
    assert families - {re.sub("_(bucket|sum|count)$", "", name) for name in named} == {"agentgate_info"}


def test_every_metric_is_explained_and_no_other(published: dict[str, set[str]]) -> None:
    listed = set(re.findall(r"^\| `(agentgate_\w+)` \|", PAGE, re.M))
    assert listed == {re.sub("_(bucket|sum|count)$", "", name) for name in published if not name.endswith("_created")}


def test_every_alert_is_explained_and_no_other() -> None:
    assert sorted(re.findall(r"^\| `(AgentGate\w+)` \|", PAGE, re.M)) == sorted(rule["alert"] for rule in rules())


@cases("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_means_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert re.fullmatch(r"\d+[mh]", rule["for"])
    assert rule["annotations"].keys() == {"summary", "action"}
    assert all(text.endswith((".", "?", "?)")) or ")." in text for text in rule["annotations"].values())
    labels = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    grouped = grouping_in(rule["expr"])
    assert labels <= grouped | ({"instance"} if not grouped else set())


def test_panels_have_one_place_each_and_say_what_they_show() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels()]
    assert len(set(places)) == len(places)
    assert all(panel["description"] and panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels())


def test_series_that_alerts_wait_for_begin_at_zero() -> None:
    """`rate` does not see the first value of a series."""
    for name, label, values in (
        ("agentgate_refused_questions_total", "cause", ("full", "deadline")),
        ("agentgate_store_errors_total", "kind", ("connection", "timeout", "statement")),
    ):
        assert all(REGISTRY.get_sample_value(name, {label: value}) is not None for value in values)
