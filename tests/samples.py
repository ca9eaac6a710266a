"""Read the metrics of this process."""

from prometheus_client import REGISTRY


def sample(name: str, **labels: str) -> float:
    """Return the value of a metric, 0 if it has none yet. A counter's name ends in `_total`."""
    return REGISTRY.get_sample_value(name, labels) or 0.0
