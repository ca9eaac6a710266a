"""Signals for the apps above this one."""

from django.dispatch import Signal

# Sent in the transaction of an approval with `replaced` and `replacement`, after the codes have moved. A receiver that
# raises rolls back the approval.
consent_replaced = Signal()
