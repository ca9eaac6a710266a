"""Signals that apps above this one handle, sent inside the transaction that changes the account."""

from django.dispatch import Signal

# A password reset has verified an address for the first time, so a stranger may have controlled the account until now.
# Receivers get `user`, `actor` and `now`, and end what was created before. They run inside `core.locks.revocation` and
# must not open another one: its lock comes last.
account_reclaimed = Signal()

# A user's data is erased. Receivers get `user`, `actor` and `now`. They end what depends on the account, clear personal
# data, and destroy their own keys in the log. They run inside `core.locks.revocation`, like those above.
account_erased = Signal()

# A user is deactivated, and their sessions have ended. Receivers get `user`, `actor` and `now`. They run inside
# `core.locks.revocation`, like those above.
account_deactivated = Signal()
