"""The dashboard, the alerts and the list of metrics name only what a server publishes, and all of it.

tests/live/test_metrics.py compares them with a running server.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from core import metrics
from tests.live.server import ROOT
from tests.promql import NotPromQL, parse
from tests.watching import OF_PROMETHEUS, expressions, panels, rules

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


def test_every_expression_names_metrics_and_labels_that_exist(published: dict[str, set[str]]) -> None:
    for text in expressions():
        expression = parse(text)
        assert expression.metrics <= published.keys() | OF_PROMETHEUS, text
        for selector in expression.selectors:
            known = published.get(selector.metric, set()) | OF_TARGETS
            assert {label for label, _, _ in selector.matchers} <= known, text
        for labels, selectors in expression.grouped:
            for selector in selectors:
                assert set(labels) <= published.get(selector.metric, set()) | OF_TARGETS, text


def test_every_metric_is_on_the_dashboard(published: dict[str, set[str]]) -> None:
    named = set().union(*(parse(target["expr"]).metrics for panel in panels() for target in panel["targets"]))
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in published if not name.endswith("_created")}
    assert families - {re.sub("_(bucket|sum|count)$", "", name) for name in named} == {"agentgate_info"}


def test_every_metric_is_explained_and_no_other(published: dict[str, set[str]]) -> None:
    listed = set(re.findall(r"^\| `(agentgate_\w+)` \|", PAGE, re.M))
    assert listed == {re.sub("_(bucket|sum|count)$", "", name) for name in published if not name.endswith("_created")}


def test_every_alert_is_explained_and_no_other() -> None:
    assert sorted(re.findall(r"^\| `(AgentGate\w+)` \|", PAGE, re.M)) == sorted(rule["alert"] for rule in rules())


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_means_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert re.fullmatch(r"\d+[mh]", rule["for"])
    assert rule["annotations"].keys() == {"summary", "action"}
    assert all(text.endswith((".", "?", "?)")) or ")." in text for text in rule["annotations"].values())
    labels = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    grouped = {label for names, _ in parse(rule["expr"]).grouped for label in names}
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


@pytest.mark.parametrize("text", ["sum(x", "rate(x)", "x{a>b}", "x y", "nothing(x)", "sum(rate(x[5m])) by", "x[5m"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(NotPromQL):
        parse(text)
