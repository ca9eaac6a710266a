"""Facts about an account that apps above this one act on, within the transaction that establishes them."""

from django.dispatch import Signal

# A password reset proved an address that was never verified before: the account may have been a stranger's until now.
# Receivers get `user`, `actor` and `now`, and end what was made before. They run inside `core.locks.revocation` and
# must not open one of their own: its lock comes last.
account_reclaimed = Signal()
