"""The user's history as a ledger: what agents did and what happened to the account, in days, runs and lines."""
