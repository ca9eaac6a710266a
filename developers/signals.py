"""Signals that apps above this one handle, sent inside the transaction that changes the domain."""

from django.dispatch import Signal

# A claim decides for more hosts than before: its domain is proved, or proved in another way, or another organization
# has lost a domain below it. Receivers get `claim`, which is saved, and `now`. They may open `core.locks.revocation`:
# nothing is locked after them.
domain_proved = Signal()
