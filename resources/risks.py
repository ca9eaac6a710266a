"""The risk levels of scopes."""

CRITICAL = "critical"
# In increasing order.
RISK_LEVELS = ("low", "standard", "high", CRITICAL)
