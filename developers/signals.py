"""Signals that apps above this one handle."""

from django.dispatch import Signal

# A claim decides for more hosts than before: its domain is proved, or proved in another way, or another organization
# has lost a domain below it. Sent inside the transaction that changes the claim. Receivers get `claim`, which is saved,
# and `now`. They may open `core.locks.revocation`: nothing is locked after them.
domain_proved = Signal()

# An organization is deleted: its time to be restored is over. Receivers get `organization` and `now`, and end the
# credentials of what it runs. They run inside `core.locks.revocation` and must not open another one.
organization_deleted = Signal()

# The impact of a stop is counted. Receivers get `reach` (`developers.impact.Reach`) and `now`, and return what they
# count as a dictionary, by the fields of `developers.impact.Impact`.
impact_counted = Signal()
