"""Signals for the apps above this one."""

from django.dispatch import Signal

# Sent in the transaction of an approval with `replaced` and `replacement`, after the codes have moved. A receiver that
# raises rolls back the approval.
consent_replaced = Signal()

# Sent in the transaction of a narrowing with `consent`, after scopes were removed from it and from its codes. A
# receiver that raises rolls back the narrowing.
consent_narrowed = Signal()
