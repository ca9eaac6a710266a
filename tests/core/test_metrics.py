"""What is reported ends up in the right numbers."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Histogram

from core import metrics
from core.metrics import BulkHistogram
from tests.samples import sample
from tests.shared import cases

BUCKETS = (0.001, 0.01, 0.1)
REPORTS: dict[str, tuple[Callable[[], None], str, dict[str, str]]] = {
    "an allowed decision": (
        lambda: metrics.report_batch([None], [0.001]),
        "agentgate_decisions_total",
        {"outcome": "allowed", "reason": ""},
    ),
    "a denied decision": (
        lambda: metrics.report_batch(["policy_denied"], [0.001]),
        "agentgate_decisions_total",
        {"outcome": "denied", "reason": "policy_denied"},
    ),
    "how long it took": (
        lambda: metrics.report_batch([None], [0.001]),
        "agentgate_decision_seconds_bucket",
        {"le": "0.001"},
    ),
    "the size of a batch": (
        lambda: metrics.report_batch([None], [0.001]),
        "agentgate_batch_size_bucket",
        {"le": "1.0"},
    ),
    "a refused question": (
        lambda: metrics.report_refused_question("full"),
        "agentgate_refused_questions_total",
        {"cause": "full"},
    ),
    "an error of the store": (
        lambda: metrics.report_store_error("timeout"),
        "agentgate_store_errors_total",
        {"kind": "timeout"},
    ),
    "a sequenced entry": (lambda: metrics.report_sequenced(1), "agentgate_sequenced_entries_total", {}),
    "a response": (
        lambda: metrics.report_http("api", 404, 0.02),
        "agentgate_http_seconds_count",
        {"route": "api", "status": "4xx"},
    ),
    "a refusal of the front": (
        lambda: metrics.report_front_refusal(431),
        "agentgate_front_refusals_total",
        {"status": "431"},
    ),
    "a throttled attempt": (
        lambda: metrics.report_throttled("sign-in"),
        "agentgate_throttled_total",
        {"throttle": "sign-in"},
    ),
}


@cases("what", REPORTS)
def test_a_report_is_counted_once(what: str) -> None:
    report, name, labels = REPORTS[what]
    before = sample(name, **labels)
    report()
    assert sample(name, **labels) == before + 1


def test_the_sequencer_shows_its_last_report() -> None:
    metrics.report_sequencer(1.5, 2)
    assert sample("agentgate_sequencer_lag_seconds") == 1.5
    assert sample("agentgate_damaged_journal_rows") == 2
    assert sample("agentgate_sequencer_last_run_timestamp_seconds") > 1_700_000_000


@cases("amounts", [[0.0], [0.001], [0.0011, 0.5, 0.1], [7.0] * 3, []])
def test_observing_many_at_once_gives_the_same_numbers_as_one_by_one(amounts: list[float]) -> None:
    registries = [CollectorRegistry(), CollectorRegistry()]
    BulkHistogram("x", "x", buckets=BUCKETS, registry=registries[0]).observe_all(amounts)
    one_by_one = Histogram("x", "x", buckets=BUCKETS, registry=registries[1])
    for amount in amounts:
        one_by_one.observe(amount)
    names = ["x_sum", "x_count"]
    assert [registries[0].get_sample_value(name) for name in names] == [
        registries[1].get_sample_value(name) for name in names
    ]
    bounds = ["0.001", "0.01", "0.1", "+Inf"]
    found = [[registry.get_sample_value("x_bucket", {"le": bound}) for bound in bounds] for registry in registries]
    assert found[0] == found[1]
