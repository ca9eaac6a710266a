"""Signals that apps above this one handle, sent inside the transaction that changes the agent."""

from django.dispatch import Signal

# The developer deletes an agent. Receivers get `agent`, `actor` and `now`, and end what depends on it. They run inside
# `core.locks.revocation` and must not open another one: its lock comes last. The organization and the agent are locked.
agent_deleted = Signal()
