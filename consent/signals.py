"""Signals for the apps above this one."""

from django.dispatch import Signal

# Sent in the transaction of an approval with `replaced` and `replacement`, the `actor` and `now`, after the codes have
# moved. A receiver that raises rolls back the approval.
consent_replaced = Signal()

# Sent in the transaction of a narrowing with the `consent`, its terms `before`, the scopes `removed` from it and from
# its codes, the `actor` and `now`. Receivers end what it no longer allows. One that raises rolls back the narrowing.
consent_narrowed = Signal()
