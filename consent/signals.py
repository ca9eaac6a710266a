"""What consent announces to the apps above it."""

from django.dispatch import Signal

# Sent inside the transaction of an approval with `replaced` and `replacement`, once the codes have moved and before
# anything commits. A receiver that raises undoes the approval.
consent_replaced = Signal()
