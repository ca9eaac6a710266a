"""A second opinion on decisions, and random cases in which the engine must agree with it.

`oracle` and `rules` are written from the contract and from docs/policies.md, and share no code with the engine.
"""
