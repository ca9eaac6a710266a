"""The risk levels of scopes."""

from django.utils.translation import gettext_lazy as _

CRITICAL = "critical"
# In increasing order.
RISK_LEVELS = ("low", "standard", "high", CRITICAL)
RISK_WORDS = {
    "low": _("Low risk"),
    "standard": _("Standard risk"),
    "high": _("High risk"),
    "critical": _("Critical risk"),
}
