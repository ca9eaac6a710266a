"""Signals that apps above this one handle, sent inside the transaction that changes the domain."""

from django.dispatch import Signal

# A domain is proved, or proved by DNS after it was proved by a file. Receivers get `claim` and `now`. The organization
# is locked, and the claim is saved. Receivers may open `core.locks.revocation`: nothing is locked after them.
domain_proved = Signal()
