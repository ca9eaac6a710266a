"""Samples of charts and numbers."""

from typing import Any

from web.analytics.charts import stacked_bars
from web.analytics.consents import bars_of
from web.analytics.counts import Count
from web.analytics.words import Words
from web.sparkline import Sparkline

ALLOWED = [0, 4, 9, 12, 30, 28, 31, 8, 3, 16, 22, 40]
DENIED = [0, 1, 0, 2, 5, 1, 9, 0, 1, 3, 0, 12]


def samples() -> dict[str, Any]:
    return {
        "axis": ["Nov 1", "Nov 6", "Nov 12"],
        "bars": stacked_bars([ALLOWED, DENIED]),
        "many": stacked_bars([[(place * step) % 7 + 1 for step in range(12)] for place in range(1, 7)]),
        "spark": Sparkline(ALLOWED),
        "funnel": bars_of({"asked": 50, "allowed": 24, "partly": 17, "denied": 3, "abandoned": 6}),
        "counts": [
            Count(1234, 1000, "#analytics"),
            Count(12, 48, "#analytics"),
            Count(3, 0, "#analytics"),
            Count(0, 9, ""),
        ],
        "words": [
            Words("Send email as you", code="email:send"),
            Words("No weekends", "Time window"),
            Words("acme:unknown", is_id=True),
        ],
    }
