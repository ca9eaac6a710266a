"""The user's history as a ledger: what agents did and what happened to the account, in days, runs and lines.

It is laid out when it is read: an index of its texts would put personal data beside the encrypted log. Entries that say
the same share a line, but never a denial with what was allowed, and neither an amount nor a user's decision with
another.
"""
