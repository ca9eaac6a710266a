"""A second opinion on work that was handed on, and random stories in which the product must agree with it.

`rows` and `model` are written from the rules of delegation, and share no code with the product.
"""
