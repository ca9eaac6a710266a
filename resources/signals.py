"""Signals that apps above this one handle, sent inside the transaction that changes the resource servers."""

from django.dispatch import Signal

# Resource servers are ended because another organization has proved their domain. Receivers get `servers` and `now`,
# and end the tokens for them. They run inside `core.locks.revocation` and must not open another one.
servers_taken_over = Signal()
