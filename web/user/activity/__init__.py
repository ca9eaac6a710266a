"""The user's history as a ledger: what agents did and what happened to the account, by day.

The layout is computed when the history is read, because an index of its texts would store personal data outside the
encrypted log. Entries that say the same share a line. But a denial never shares a line with something allowed, and each
amount and each decision of the user has its own line.
"""
